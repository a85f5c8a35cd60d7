import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { transform } from 'esbuild'
import { describe, expect, test } from 'vitest'
import { diagnostics, folder, node, type Outcome, root } from './installed.js'

const sources = join(root, 'test/programs')
const programs = Object.fromEntries(
  await Promise.all(
    (await readdir(sources)).map(async name => [name, await readFile(join(sources, name), 'utf8')] as const),
  ),
)

const usesRunner = /from 'vitest'/
const programsThat = (match: RegExp, expected: boolean): Record<string, string> =>
  Object.fromEntries(Object.entries(programs).filter(([, text]) => match.test(text) === expected))

/** Runs a program against the installed package; `globals` is what it declares and does not define. */
async function run(name: string, globals = ''): Promise<Outcome> {
  const { code } = await transform(programs[`${name}.ts`]!, { loader: 'ts', target: 'es2022' })
  const file = join(await folder(), `${name}.mjs`)
  await writeFile(file, `${globals}\n${code}`)
  return node(file)
}

// Not a declaration of the browser's is needed, nor one of disposal: the package brings the latter.
const compiler = { lib: ['ES2023'], typeRoots: [join(root, 'node_modules/@types')], types: ['node'] }
// The runner's own declarations don't compile without more than that.
const withRunner = {
  ...compiler,
  skipLibCheck: true,
  paths: { vitest: [join(root, 'node_modules/vitest/dist/index.d.ts')] },
}

describe.each([
  ['as Node resolves it', { module: 'Node16' }],
  ['as a bundler resolves it', { module: 'ESNext', moduleResolution: 'Bundler' }],
])('on the declarations of the package, %s', (_, resolution) => {
  test('programs as users write them compile unchanged', async () => {
    expect(await diagnostics(programsThat(usesRunner, false), { ...compiler, ...resolution })).toBe('')
  })

  test('tests as users write them, and those of the types, do too', async () => {
    const types = await readFile(join(root, 'test/types.test.ts'), 'utf8')
    const tests = { ...programsThat(usesRunner, true), 'types.test.ts': types }
    expect(await diagnostics(tests, { ...withRunner, ...resolution })).toBe('')
  })
})

describe('those programs run on the package', () => {
  test('01: publishes and reads, until it publishes a record without a value', async () => {
    const { code, stdout, stderr } = await run('01-first-topic')
    expect(stdout).toBe('alice 1 0 0\n')
    expect(stderr).toContain('TypeError')
    expect(code).toBe(1)
  })

  test.each(['02-typed-broker', '09-replay'])('%s: ends at the first topic that does not exist', async name => {
    const { code, stderr } = await run(name)
    expect(stderr).toContain('UNKNOWN_TOPIC_OR_PARTITION')
    expect(code).toBe(1)
  })

  // Exit code 13: nothing is left to wake what is awaited.
  test.each([
    ['03-at-least-once', 'const save = async () => {}'],
    ['05-rebalance', ''],
    ['07-shutdown', 'const work = async () => {}'],
  ])('%s: waits for records, and keeps nothing alive', async (name, globals) => {
    expect(await run(name, globals)).toMatchObject({ code: 13, stdout: '' })
  })

  test('20: counts words, by six tasks of two instances', async () => {
    const { code, stdout } = await run('20-word-count')
    expect(stdout).toMatch(/^Topologies:\n {3}Sub-topology: 0\n/)
    expect(stdout).toMatch(/\ntrue 6\n$/)
    expect(code).toBe(0)
  })

  test('21: draws its topology', async () => {
    const { code, stdout } = await run('21-windows-and-joins')
    expect(stdout).toMatch(/^flowchart TB\n/)
    expect(code).toBe(0)
  })

  test('11: does its work in memory, and then fails on a broker that can do nothing', async () => {
    const { code, stdout, stderr } = await run('11-portable')
    // Key '1' is of partition 0, whose turn is first: its record alone is read and committed, of four.
    expect(stdout).toBe('1 undefined\n1 3\n4\n')
    expect(stderr).toMatch(/^ *0$/m)
    expect(code).toBe(1)
  })

  test('14: takes undefined for every option', async () => {
    expect(await run('14-exact', 'const env = {}, signal = undefined')).toEqual({ code: 0, stdout: '', stderr: '' })
  })
})
