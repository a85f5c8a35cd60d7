// Programs as users write them, on a cluster.
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { transform } from 'esbuild'
import { Broker, lastHeader } from 'millrace'
import { expect, test } from 'vitest'
import { onCluster } from './support.js'

/** Runs a program with these names in place of its imports; gives what it prints, and what it ends with. */
async function run(
  name: string,
  names: Readonly<Record<string, unknown>>,
): Promise<{ printed: unknown[][]; thrown: unknown }> {
  const text = await readFile(join(import.meta.dirname, `../programs/${name}.ts`), 'utf8')
  // What does not compile is not portable, and says so.
  const compiling = text.replaceAll(/^ *\/\/ @ts-expect-error.*\n.*\n/gm, '')
  const { code } = await transform(compiling, { loader: 'ts', target: 'es2022' })
  const body = code
    .replaceAll(/^import .*$/gm, '')
    .replaceAll(/^export \{[^}]*\};?$/gm, '')
    .replaceAll(/^export /gm, '')
  const printed: unknown[][] = []
  const console = {
    log: (...values: unknown[]) => printed.push(values),
  }
  const given = { ...names, console }
  const program = new Function(...Object.keys(given), `return (async () => {\n${body}\n})()`)
  try {
    await program(...Object.values(given))
    return { printed, thrown: undefined }
  } catch (thrown) {
    return { printed, thrown }
  }
}

test('11: portable code does the same work in memory and on a cluster', async () => {
  await using cluster = onCluster({ topics: { orders: { partitions: 3 }, audit: { partitions: 1 } } })
  await cluster.ready()
  const inMemory = await run('11-portable', { Broker, lastHeader })
  // The one statement that changes.
  const onKafka = await run('11-portable', { Broker: new Proxy(Broker, { construct: () => cluster }), lastHeader })
  expect(onKafka).toEqual(inMemory)
  // It ends on a broker of its own that can do nothing.
  expect(inMemory).toEqual({
    printed: [
      [1, undefined],
      [1, 3],
    ],
    thrown: 0,
  })
})
