// The README is run: each block of TypeScript, against the source, with what it prints compared to its comments.
//
// In a block, `// → text` says what the console.log() on its line prints; on lines of their own below it, what the same
// call prints next. Each block is a program of its own.
import { existsSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { format } from 'node:util'
import * as millrace from 'millrace'
import * as testing from 'millrace/testing'
import ts from 'typescript'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

const root = fileURLToPath(new URL('..', import.meta.url))
const readme = readFileSync(join(root, 'README.md'), 'utf8')
const changelog = readFileSync(join(root, 'CHANGELOG.md'), 'utf8')
const { scripts, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  scripts: Record<string, string>
  version: string
}

interface Program {
  readonly title: string
  readonly lines: readonly string[]
}

/** The blocks of TypeScript, by the heading that they stand under. */
function programsOf(markdown: string): Program[] {
  const programs: { title: string; lines: string[] }[] = []
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
    at = end
  }
  return programs
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

const programs = programsOf(readme)
let folder: string
const fileOf = (at: number): string => join(folder, `block-${at + 1}.ts`)

beforeAll(() => {
  folder = mkdtempSync(join(realpathSync(tmpdir()), 'millrace-readme-'))
  for (const [at, { lines }] of programs.entries()) {
    const named = lines.map((line, number) => line.replaceAll('console.log(', `readmePrints(${number}, `))
    writeFileSync(fileOf(at), [...named, 'export {}', ''].join('\n'))
  }
  writeFileSync(
    join(folder, 'globals.d.ts'),
    'declare function readmePrints(line: number, ...values: unknown[]): void\n',
  )
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('the README', () => {
  test.each(programs.map((program, at) => [program.title, program, at] as const))(
    'prints what it says: %s',
    async (_, program, at) => {
      const expected = expectedOf(program)
      const printed = new Map([...expected.keys()].map(line => [line, [] as string[]]))
      const print = (line: number, ...values: unknown[]): unknown => printed.get(line)!.push(format(...values))
      Object.assign(globalThis, { readmePrints: print })
      await import(/* @vite-ignore */ pathToFileURL(fileOf(at)).href)
      expect(asLines(printed, program)).toEqual(asLines(expected, program))
    },
  )

  test('compiles, under strict, noUncheckedIndexedAccess and exactOptionalPropertyTypes', () => {
    const { config } = ts.readConfigFile(join(root, 'tsconfig.json'), ts.sys.readFile)
    const { options } = ts.parseJsonConfigFileContent(config, ts.sys, root)
    const program = ts.createProgram([join(folder, 'globals.d.ts'), ...programs.map((_, at) => fileOf(at))], {
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
    const found = programs.flatMap((_, at) => {
      const file = program.getSourceFile(fileOf(at))!
      return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)]
    })
    expect(found.map(diagnostic => ts.formatDiagnostic(diagnostic, shownFrom(folder)))).toEqual([])
  })

  test('has no console.log() that does not say what it prints', () => {
    const silent = programs.flatMap(program =>
      [...expectedOf(program)].filter(([, said]) => said.length === 0).map(([line]) => program.lines[line]),
    )
    expect(silent).toEqual([])
  })

  test('names only commands that there are', () => {
    const ofNpm = new Set(['ci', 'install', 'pack'])
    const commands = [...readme.matchAll(/\bnpm (?:run )?([a-z:]+)/g)].map(([, name]) => name!)
    expect(commands).toContain('start')
    expect(commands.filter(name => !ofNpm.has(name) && scripts[name] === undefined)).toEqual([])
  })

  test('sets up and runs, sets up and tests, with two commands', () => {
    expect(readme).toMatch(/^npm ci && npm start\b/m)
    expect(readme).toMatch(/^npm ci && npm test\b/m)
  })

  test('links to files and headings that there are', () => {
    const prose = readme.replace(/^```[\s\S]*?^```/gm, '')
    const anchors = new Set([...prose.matchAll(/^#+ (.*)$/gm)].map(([, heading]) => `#${anchorOf(heading!)}`))
    const links = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map(([, target]) => target!)
    const inside = links.filter(target => !/^https?:/.test(target))
    expect(inside.length).toBeGreaterThan(0)
    expect(
      inside.filter(target => (target.startsWith('#') ? !anchors.has(target) : !existsSync(join(root, target)))),
    ).toEqual([])
  })

  test('names everything that the entry points export', () => {
    const names = [...Object.keys(millrace), ...Object.keys(testing)]
    expect(names.filter(name => !new RegExp(`\\b${name}\\b`).test(readme))).toEqual([])
  })
})

test('the CHANGELOG has an entry for this version', () => {
  expect(changelog).toMatch(new RegExp(`^## \\[${version.replaceAll('.', '\\.')}\\]`, 'm'))
})

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

/** As GitHub makes them. */
const anchorOf = (heading: string): string =>
  heading
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replaceAll(' ', '-')
