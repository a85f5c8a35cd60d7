import { readdirSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { runInNewContext } from 'node:vm'
import ts from 'typescript'
import { describe, expect, test } from 'vitest'

const src = `${import.meta.dirname}/../src`

interface Import {
  readonly from: string
  /** A file of src, or the name of a package. */
  readonly to: string
  readonly typeOnly: boolean
}

const files = readdirSync(src, { recursive: true, encoding: 'utf8' })
  .map(file => file.replaceAll('\\', '/'))
  .filter(file => file.endsWith('.ts') && !file.endsWith('.d.ts'))
  .sort()
const parsed = new Map(
  files.map(file => {
    const text = readFileSync(`${src}/${file}`, 'utf8')
    return [file, ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true)] as const
  }),
)
const imports: readonly Import[] = files.flatMap(file => importsOf(parsed.get(file)!))
const within = (file: string): readonly Import[] =>
  imports.filter(({ from, to }) => from === file && files.includes(to))

function importsOf(file: ts.SourceFile): Import[] {
  const found: Import[] = []
  const add = (specifier: ts.Expression, typeOnly: boolean): void => {
    const { text } = specifier as ts.StringLiteral
    const to = text.startsWith('.') ? posix.join(posix.dirname(file.fileName), text).replace(/\.js$/, '.ts') : text
    found.push({ from: file.fileName, to, typeOnly })
  }
  visit(file, node => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, isTypeOnly(node.importClause))
    if (ts.isExportDeclaration(node) && node.moduleSpecifier !== undefined) add(node.moduleSpecifier, isTypeOnly(node))
    if (ts.isCallExpression(node) && node.expression.kind === ts.SyntaxKind.ImportKeyword)
      add(node.arguments[0]!, false)
  })
  return found
}

function isTypeOnly(clause: ts.ImportClause | ts.ExportDeclaration | undefined): boolean {
  if (clause === undefined) return false
  if (clause.isTypeOnly) return true
  const named = ts.isImportClause(clause) ? clause.name === undefined && clause.namedBindings : clause.exportClause
  return (
    Boolean(named) &&
    (ts.isNamedImports(named as ts.Node) || ts.isNamedExports(named as ts.Node)) &&
    (named as ts.NamedImports | ts.NamedExports).elements.every(element => element.isTypeOnly)
  )
}

function visit(node: ts.Node, look: (node: ts.Node) => void): void {
  look(node)
  ts.forEachChild(node, child => visit(child, look))
}

/** The names that a file uses as values and does not declare. */
function globalsOf(file: ts.SourceFile): string[] {
  const declared = new Set<string>()
  const used = new Set<string>()
  visit(file, node => {
    if (!ts.isIdentifier(node)) return
    const parent = node.parent as ts.Node & { name?: ts.Node; propertyName?: ts.Node }
    if (parent.propertyName === node || ts.isTypeNode(parent) || ts.isQualifiedName(parent)) return
    if (parent.name !== node) used.add(node.text)
    else if (binds(parent)) declared.add(node.text)
  })
  return [...used].filter(name => !declared.has(name)).sort()
}

/** Whether a node's name can be used by itself, which that of a member or a type can't. */
const binds = (node: ts.Node): boolean =>
  ts.isVariableDeclaration(node) ||
  ts.isParameter(node) ||
  ts.isBindingElement(node) ||
  ts.isFunctionDeclaration(node) ||
  ts.isClassDeclaration(node) ||
  ts.isImportSpecifier(node) ||
  ts.isImportClause(node)

/** 0 core · 1 shell · 2 public index · 3 entry points. */
const layerOf = (file: string): number =>
  file.startsWith('core/') ? 0 : file === 'index.ts' ? 2 : file.includes('/') ? 3 : 1
const inLayer = (layer: number): string[] => files.filter(file => layerOf(file) === layer)

describe('layers', () => {
  test.each(files)('%s imports only its own layer or below', file => {
    expect(within(file).filter(({ to }) => layerOf(to) > layerOf(file))).toEqual([])
  })

  /** millrace/kafka is an engine too: what the one consumer is made of, and the checks that every engine makes. */
  const engineSeam = new Set(
    `async-dispose clock consumer engine events group-options portable
    core/check core/errors core/record`
      .split(/\s+/)
      .map(name => `${name}.ts`),
  )

  test.each(inLayer(3))('%s uses the library as its users do: by ../index.js, and its own folder', file => {
    const isEngine = file.startsWith('kafka/')
    const foreign = within(file).filter(
      ({ to }) => to !== 'index.ts' && to.split('/')[0] !== file.split('/')[0] && !(isEngine && engineSeam.has(to)),
    )
    expect(foreign).toEqual([])
  })

  /** Of millrace/streams: a topology and what stands in it, its tasks, and two shells that know nothing of each other. */
  const partsOfStreams = [['stores', 'operators', 'topology', 'dsl'], ['task'], ['driver', 'runtime']]
  const partOf = (file: string): string => /^streams\/(\w+)\//.exec(file)?.[1] ?? ''
  const heightOf = (part: string): number => partsOfStreams.findIndex(parts => parts.includes(part))

  test.each(partsOfStreams.flat())(
    'streams/%s imports nothing of what is built on it, nor of the other shell',
    part => {
      const own = files.filter(file => partOf(file) === part)
      expect(own).not.toEqual([])
      const upward = own.flatMap(within).filter(({ to }) => {
        const other = partOf(to)
        return other !== part && (heightOf(other) > heightOf(part) || (heightOf(other) === 2 && heightOf(part) === 2))
      })
      expect(upward).toEqual([])
    },
  )

  test('no import goes in a circle, those of types apart', () => {
    const circles: string[] = []
    const done = new Set<string>()
    const follow = (file: string, path: readonly string[]): void => {
      const start = path.indexOf(file)
      if (start >= 0) return void circles.push([...path.slice(start), file].join(' -> '))
      if (done.has(file)) return
      for (const { to, typeOnly } of within(file)) if (!typeOnly) follow(to, [...path, file])
      done.add(file)
    }
    for (const file of files) follow(file, [])
    expect(circles).toEqual([])
  })

  test('each import of a file is of one that exists', () => {
    const lost = imports.filter(({ from, to }) => /\.ts$/.test(to) && !files.includes(to) && from !== to)
    expect(lost).toEqual([])
  })
})

test('each third-party package has one door', () => {
  const packages = imports.filter(({ to }) => !to.endsWith('.ts') && !to.startsWith('node:'))
  const doors = [...new Map(packages.map(({ from, to }) => [`${to} ${from}`, [to, from]])).values()]
  expect(doors.sort()).toEqual([
    ['@platformatic/kafka', 'kafka/platformatic.ts'],
    ['eventemitter3', 'events.ts'],
    ['murmurhash-js', 'core/murmur2.ts'],
  ])
})

/** The language's own, which a bare realm has (Node's has a console too), and what every host of ours adds. */
const everywhere = new Set(
  runInNewContext('Object.getOwnPropertyNames(globalThis)').filter((name: string) => name !== 'console'),
)
for (const name of 'setTimeout clearTimeout queueMicrotask AbortController TextEncoder TextDecoder'.split(' '))
  everywhere.add(name)

/** And what only Node has, where sockets are too. */
const inNode = new Set('Buffer clearImmediate clearInterval performance setImmediate setInterval'.split(' '))

test.each(files)('%s uses only globals that every host has, or Node where it talks to a cluster', file => {
  const onNode = file.startsWith('kafka/')
  const unknown = globalsOf(parsed.get(file)!).filter(name => !everywhere.has(name) && !(onNode && inNode.has(name)))
  expect(unknown).toEqual([])
})

test('only what talks to a cluster imports modules of Node', () => {
  const elsewhere = imports.filter(({ from, to }) => to.startsWith('node:') && !from.startsWith('kafka/'))
  expect(elsewhere).toEqual([])
})

describe('core', () => {
  /** Time, and what waits for it. */
  const impure = ['Date', 'setTimeout', 'clearTimeout', 'queueMicrotask', 'Promise', 'AbortController']

  test.each(inLayer(0))('%s is synchronous and told the time', file => {
    const source = parsed.get(file)!
    expect(globalsOf(source).filter(name => impure.includes(name))).toEqual([])
    const waits: string[] = []
    visit(source, node => {
      if (node.kind === ts.SyntaxKind.AsyncKeyword || ts.isAwaitExpression(node)) waits.push(node.parent.getText())
    })
    expect(waits).toEqual([])
  })

  test('draws no lots, except for the seed of a partitioner that was given none', () => {
    const drawing = inLayer(0).filter(file => parsed.get(file)!.text.includes('Math.random'))
    expect(drawing).toEqual(['core/partitioner.ts'])
    expect(parsed.get('core/partitioner.ts')!.text.match(/Math\.random/g)).toHaveLength(1)
    expect(parsed.get('core/partitioner.ts')!.text).toContain('seed ?? Math.floor(Math.random()')
  })
})

test('no file or folder is a place for what nobody placed', () => {
  const unplaced = /^(utils?|helpers?|types?|common|shared|misc|lib)$/
  const parts = files.flatMap(file => file.replace(/\.ts$/, '').split('/'))
  expect(parts.filter(part => unplaced.test(part))).toEqual([])
})

test('no file has a default export', () => {
  const defaults = files.filter(file => {
    let found = false
    visit(parsed.get(file)!, node => {
      found ||= ts.isExportAssignment(node) || (node.kind === ts.SyntaxKind.DefaultKeyword && ts.isModifier(node))
    })
    return found
  })
  expect(defaults).toEqual([])
})

test('no file has a thousand lines', () => {
  expect(files.filter(file => parsed.get(file)!.getLineStarts().length > 1_000)).toEqual([])
})
