// The lines of a log: of a file, plain or gzipped, or of standard input.
import { createReadStream } from 'node:fs'
import { pipeline, Readable } from 'node:stream'
import { createGunzip } from 'node:zlib'

/** The user's log can't be read: a message, not a stack trace. */
export class InputError extends Error {}

/** A path as a message names it; '-' is standard input. */
export const nameOf = (path: string): string => (path === '-' ? 'standard input' : path)

/** Rejects at once if there is nothing to read. */
export async function openLog(path: string): Promise<AsyncIterable<string>> {
  const { first, all } = await peek(linesOf(path))
  if (first === undefined) throw new InputError(`${nameOf(path)} is empty`)
  return all
}

async function* linesOf(path: string): AsyncGenerator<string> {
  try {
    yield* split(await unzipped(path === '-' ? process.stdin : createReadStream(path)))
  } catch (error) {
    throw new InputError(`cannot read ${nameOf(path)}: ${(error as Error).message}`, { cause: error })
  }
}

/** Told by its first two bytes, so that a gzipped standard input works as well. */
async function unzipped(source: AsyncIterable<Buffer>): Promise<AsyncIterable<Buffer>> {
  const { first, all } = await peek(source)
  if (first?.[0] !== 0x1f || first[1] !== 0x8b) return all
  // A failure of either side reaches who reads the result, so the callback has nothing left to do.
  return pipeline(Readable.from(all), createGunzip(), () => {})
}

async function* split(chunks: AsyncIterable<Buffer>): AsyncGenerator<string> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of chunks) {
    const lines = (rest + decoder.decode(chunk, { stream: true })).split(/\r?\n/)
    rest = lines.pop()!
    yield* lines
  }
  if (rest !== '') yield rest
}

/** The first item, and all of them. */
async function peek<T>(source: AsyncIterable<T>): Promise<{ first: T | undefined; all: AsyncIterable<T> }> {
  const items = source[Symbol.asyncIterator]()
  const first = await items.next()
  const all = async function* (): AsyncGenerator<T> {
    for (let item = first; item.done !== true; item = await items.next()) yield item.value
  }
  return { first: first.done === true ? undefined : first.value, all: all() }
}
