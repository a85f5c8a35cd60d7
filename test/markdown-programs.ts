// The code blocks of a document are run: each block of TypeScript, against the source, with what it prints compared to its
// comments.
//
// In a block, `// → text` says what the console.log() on its line prints; on lines of their own below it, what the same
// call prints next. Each block is a program of its own. One that begins with `// name.ts` is also a file of that name,
// which the others may import; one that imports vitest is a file of tests. A block of Mermaid shows the topology that the
// program before it exports.
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { format } from 'node:util'
import ts from 'typescript'
import { afterAll, describe, expect, test } from 'vitest'

/** The repository. */
export const root: string = fileURLToPath(new URL('..', import.meta.url))

interface Program {
  readonly title: string
  readonly lines: readonly string[]
  /** Of its topology, where the document shows one. */
  readonly picture?: string | undefined
}

/** Defines the tests of a document's blocks and links. */
export function describeDocument(path: string): void {
  const document = read(path)
  describeRuns(document)
  describeText(document)
}
/** Of one whose blocks run elsewhere: that they compile, and the rest. */
export function describeDocumentText(path: string): void {
  describeText(read(path))
}
/** That the blocks run, and print what they say. `rewrite`: what the blocks name that is called otherwise here. */
export function describeDocumentRuns(path: string, rewrite: (markdown: string) => string): void {
  describeRuns(read(path, rewrite))
}

interface Document {
  readonly path: string
  readonly markdown: string
  readonly programs: readonly Program[]
  readonly folder: string
  /** One for each program. */
  readonly files: readonly string[]
}

function read(path: string, rewrite: (markdown: string) => string = markdown => markdown): Document {
  const markdown = rewrite(readFileSync(join(root, path), 'utf8'))
  const programs = programsOf(markdown)
  const folder = mkdtempSync(join(realpathSync(tmpdir()), 'millrace-document-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  const files = programs.map(({ lines }, at) => {
    const name = lines[0]?.match(/^\/\/ (\S+\.ts)$/)?.[1] ?? `block-${at + 1}.ts`
    writeFileSync(join(folder, name), runnable(lines))
    return join(folder, name)
  })
  return { path, markdown, programs, folder, files }
}

function describeRuns({ programs, files }: Document): void {
  const blocks = programs.map((program, at) => ({ program, file: files[at]!, title: program.title }))
  const holdsTests = ({ program }: { program: Program }): boolean => program.lines.some(line => fromVitest.test(line))

  const printing = blocks.filter(block => !holdsTests(block)).map(block => [block.title, block] as const)
  test.each(printing)('prints what it says: %s', async (_, { program, file }) => {
    const expected = expectedOf(program)
    const printed = new Map([...expected.keys()].map(line => [line, [] as string[]]))
    const print = (line: number, ...values: unknown[]): unknown =>
      printed.get(line)!.push(...format(...values).split('\n'))
    Object.assign(globalThis, { documentPrints: print })
    await import(/* @vite-ignore */ pathToFileURL(file).href)
    expect(asLines(printed, program)).toEqual(asLines(expected, program))
  })

  const pictured = blocks.flatMap(({ file, program: { title, picture } }) =>
    picture === undefined ? [] : [[title, file, picture] as const],
  )
  if (pictured.length > 0)
    test.each(pictured)('draws what it shows: %s', async (_, file, picture) => {
      const { topology } = await import(/* @vite-ignore */ pathToFileURL(file).href)
      expect(topology.toMermaid()).toBe(picture)
    })

  for (const { title, file } of blocks.filter(holdsTests))
    describe(title, async () => {
      await import(/* @vite-ignore */ pathToFileURL(file).href)
    })
}

function describeText({ path, markdown, programs, folder, files }: Document): void {
  const globals = join(folder, 'globals.d.ts')
  writeFileSync(globals, 'declare function documentPrints(line: number, ...values: unknown[]): void\n')

  test('compiles, under strict, noUncheckedIndexedAccess and exactOptionalPropertyTypes', () => {
    const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile)
    const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root)
    const compiled = ts.createProgram([globals, ...files], {
      ...options,
      typeRoots: [join(root, 'node_modules', '@types')],
      declaration: false,
      isolatedDeclarations: false,
      noUnusedLocals: false,
      noUnusedParameters: false,
      strict: true,
      noUncheckedIndexedAccess: true,
      exactOptionalPropertyTypes: true,
    })
    const found = files.flatMap(name => {
      const file = compiled.getSourceFile(name)!
      return [...compiled.getSyntacticDiagnostics(file), ...compiled.getSemanticDiagnostics(file)]
    })
    expect(found.map(diagnostic => ts.formatDiagnostic(diagnostic, shownFrom(folder)))).toEqual([])
  })

  test('has no console.log() that does not say what it prints', () => {
    const silent = programs.flatMap(program =>
      [...expectedOf(program)].filter(([, said]) => said.length === 0).map(([line]) => program.lines[line]),
    )
    expect(silent).toEqual([])
  })

  test('links to files and headings that there are', () => {
    const prose = markdown.replace(/^```[\s\S]*?^```/gm, '')
    const links = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!)
    const inside = links.filter(target => !/^https?:/.test(target))
    expect(inside.length).toBeGreaterThan(0)
    expect(inside.filter(target => !leadsSomewhere(target, path))).toEqual([])
  })
}

/** The blocks of TypeScript, by the heading that they stand under. */
function programsOf(markdown: string): Program[] {
  const programs: { title: string; lines: string[]; picture?: string }[] = []
  const lines = markdown.split('\n')
  let heading = ''
  for (let at = 0; at < lines.length; at++) {
    const line = lines[at]!
    if (line.startsWith('#')) heading = line.replace(/^#+ /, '')
    if (!line.startsWith('```')) continue
    const end = lines.indexOf('```', at + 1)
    if (line === '```ts') {
      const code = lines.slice(at + 1, end)
      programs.push({ title: `${heading} (line ${at + 1})`, lines: code })
    }
    if (line === '```mermaid') programs.at(-1)!.picture = lines.slice(at + 1, end).join('\n')
    at = end
  }
  return programs
}

const fromVitest = /(?<= from )'vitest'$/
// Away from the repository nothing would find it.
const vitest = JSON.stringify(join(root, 'node_modules/vitest/dist/index.js'))

/** Each console.log() is told on which line it stands. */
function runnable(lines: readonly string[]): string {
  const named = lines.map((line, number) =>
    line.replaceAll('console.log(', `documentPrints(${number}, `).replace(fromVitest, vitest),
  )
  return [...named, 'export {}', ''].join('\n')
}

/** What each console.log() is said to print, by its line. */
function expectedOf({ lines }: Program): Map<number, string[]> {
  const expected = new Map<number, string[]>()
  let call = -1
  for (const [at, line] of lines.entries()) {
    if (line.includes('console.log(')) {
      call = at
      expected.set(call, [])
    }
    const [, said] = line.match(/\/\/ → (.*)$/) ?? []
    if (said !== undefined) expected.get(call)!.push(said)
  }
  return expected
}

/** Line by line, so that a failure shows the code beside what it printed. */
const asLines = (printed: ReadonlyMap<number, readonly string[]>, { lines }: Program): readonly string[] =>
  [...printed].flatMap(([line, texts]) => [
    lines[line]!.replace(/\s*\/\/ → .*/, '').trim(),
    ...texts.map(t => `  → ${t}`),
  ])

const shownFrom = (directory: string): ts.FormatDiagnosticsHost => ({
  getCurrentDirectory: () => directory,
  getCanonicalFileName: name => name,
  getNewLine: () => '\n',
})

function leadsSomewhere(target: string, from: string): boolean {
  const [file = '', heading] = target.split('#')
  const path = file === '' ? join(root, from) : join(root, dirname(from), file)
  if (!existsSync(path)) return false
  return heading === undefined || anchorsOf(readFileSync(path, 'utf8')).has(heading)
}

/** As GitHub makes them. */
function anchorsOf(markdown: string): Set<string> {
  const prose = markdown.replace(/^```[\s\S]*?^```/gm, '')
  const anchorOf = (heading: string): string =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(' ', '-')
  return new Set([...prose.matchAll(/^#+ (.*)$/gm)].map(([, heading]) => anchorOf(heading!)))
}
