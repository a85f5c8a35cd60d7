import { readdir, readFile, symlink, unlink } from 'node:fs/promises'
import { builtinModules } from 'node:module'
import { join, sep } from 'node:path'
import { createContext, runInContext } from 'node:vm'
import { type BuildOptions, build } from 'esbuild'
import { describe, expect, inject, test } from 'vitest'
import { app, diagnostics, installed, manifest, node, printed, root, script } from './installed.js'

const formats = ['mjs', 'cjs'] as const
const load = (format: (typeof formats)[number], names: string, entry: string): string =>
  format === 'mjs' ? `import ${names.replace(':', ' as')} from '${entry}'\n` : `const ${names} = require('${entry}')\n`

async function bundle(contents: string, options: BuildOptions = {}): Promise<string> {
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: app },
    bundle: true,
    write: false,
    platform: 'browser',
    logLevel: 'silent',
    ...options,
  })
  return outputFiles![0]!.text
}

describe('the tarball', () => {
  test('holds what is built, what it is about, and nothing else', async () => {
    const files = (await readdir(installed, { recursive: true, withFileTypes: true }))
      .filter(file => file.isFile())
      .map(file =>
        join(file.parentPath, file.name)
          .slice(installed.length + 1)
          .replaceAll(sep, '/'),
      )
    expect(files.filter(file => !file.startsWith('dist/')).sort()).toEqual([
      'CHANGELOG.md',
      'LICENSE',
      'README.md',
      'docs/kafka.md',
      'docs/streams.md',
      'docs/testing.md',
      'package.json',
    ])
    const entry = (name: string): string[] =>
      ['.cjs', '.cjs.map', '.d.cts', '.d.ts', '.js', '.js.map'].map(suffix => `dist/${name}${suffix}`)
    const shared = /^dist\/[a-z-]+-\w{8}(\.c?js|\.c?js\.map|\.d\.c?ts)$/
    const built = files.filter(file => file.startsWith('dist/') && !shared.test(file)).sort()
    const entries = ['index', 'testing/index', 'streams/index', 'kafka/index']
    expect(built).toEqual(entries.flatMap(entry).sort())
  })

  test('depends on eventemitter3 and murmurhash-js, for a cluster on its client, and on nothing else', async () => {
    const { dependencies, peerDependencies, peerDependenciesMeta, optionalDependencies } = await manifest()
    expect(Object.keys(dependencies as object)).toEqual(['eventemitter3', 'murmurhash-js'])
    expect({ peerDependencies, peerDependenciesMeta, optionalDependencies: optionalDependencies ?? {} }).toEqual({
      peerDependencies: { '@platformatic/kafka': '>=1.35.0 <3' },
      peerDependenciesMeta: { '@platformatic/kafka': { optional: true } },
      optionalDependencies: {},
    })
  })

  /** What a file imports of packages, of Node, and later, when it needs it. */
  async function importsOf(file: string): Promise<{ packages: string[]; ofNode: string[]; later: string[] }> {
    const { metafile } = await build({
      entryPoints: [join(installed, 'dist', file)],
      bundle: true,
      write: false,
      packages: 'external',
      platform: 'neutral',
      outdir: app,
      metafile: true,
    })
    const imports = Object.values(metafile.inputs).flatMap(input => input.imports.filter(found => found.external))
    const isOfNode = (name: string): boolean => name.startsWith('node:') || builtinModules.includes(name)
    const named = (names: readonly string[]): string[] => [...new Set(names)].sort()
    const later = imports.filter(({ kind }) => kind === 'dynamic-import').map(({ path }) => path)
    const atOnce = imports.filter(({ kind }) => kind !== 'dynamic-import').map(({ path }) => path)
    return {
      packages: named(atOnce.filter(name => !isOfNode(name))),
      ofNode: named(atOnce.filter(isOfNode)),
      later: named(later),
    }
  }

  // The ES modules have them in (tsup.config.ts).
  test.each([
    ['index.js', []],
    ['index.cjs', ['eventemitter3', 'murmurhash-js']],
    ['testing/index.js', []],
    ['testing/index.cjs', ['eventemitter3', 'murmurhash-js']],
  ])('%s imports %j, and no module of Node', async (file, packages) => {
    expect(await importsOf(file)).toEqual({ packages, ofNode: [], later: [] })
  })

  test.each([
    ['kafka/index.js', []],
    ['kafka/index.cjs', ['eventemitter3', 'murmurhash-js']],
  ])(
    '%s imports %j, the client of a cluster when it is first needed, and modules of Node by their full names',
    async (file, packages) => {
      const found = await importsOf(file)
      expect(found).toMatchObject({ packages, later: ['@platformatic/kafka'] })
      const { ofNode } = found
      expect(ofNode).toContain('node:net')
      expect(ofNode.filter(name => !name.startsWith('node:'))).toEqual([])
    },
  )

  test('is found to be in order by publint', async () => {
    const { code, stdout, stderr } = await node(
      join(root, 'node_modules/publint/src/cli.js'),
      'run',
      inject('tarball'),
      '--strict',
    )
    expect(stdout + stderr).toContain('All good!')
    expect(code).toBe(0)
  })

  test('has types that attw finds right', async () => {
    const attw = join(root, 'node_modules/@arethetypeswrong/cli/dist/index.js')
    const { code, stdout, stderr } = await node(attw, inject('tarball'), '--profile', 'node16', '--no-color')
    expect(stdout + stderr).toContain('No problems found')
    expect(code).toBe(0)
  })
})

describe.each(formats)('%s', format => {
  test('gives all names of both entry points', async () => {
    const code = `${load(format, format === 'mjs' ? '* as main' : 'main', 'millrace')}
      ${load(format, format === 'mjs' ? '* as testing' : 'testing', 'millrace/testing')}
      console.log(JSON.stringify([Object.keys(main).sort(), Object.keys(testing).sort()]))`
    expect(await printed(format, code)).toEqual([
      Object.keys(await import('millrace')).sort(),
      Object.keys(await import('millrace/testing')).sort(),
    ])
  })

  test('gives what names a broker of a cluster', async () => {
    const code = `${load(format, format === 'mjs' ? '* as kafka' : 'kafka', 'millrace/kafka')}
      console.log(JSON.stringify(Object.keys(kafka)))`
    expect(await printed(format, code)).toEqual(['kafkaBroker'])
  })

  const unreachable = `${load(format, '{ isMillraceError }', 'millrace')}
    ${load(format, '{ kafkaBroker }', 'millrace/kafka')}
    kafkaBroker({ bootstrapBrokers: ['127.0.0.1:1'], requestTimeoutMs: 100 }).ready().catch(error =>
      console.log(JSON.stringify([isMillraceError(error), error.code, error.message])))`

  test('says what to install where the client of a cluster is missing', async () => {
    const [known, code, message] = (await printed(format, unreachable)) as [boolean, string, string]
    expect([known, code]).toEqual([true, 'UNSUPPORTED_VERSION'])
    expect(message).toContain('npm install @platformatic/kafka@1')
  })

  test('finds the client of a cluster where it is installed', async () => {
    const place = join(app, 'node_modules/@platformatic')
    await symlink(join(root, 'node_modules/@platformatic'), place, 'dir')
    try {
      const [known, code, message] = (await printed(format, unreachable)) as [boolean, string, string]
      expect([known, code]).toEqual([true, 'NETWORK_EXCEPTION'])
      expect(message).toContain('127.0.0.1:1')
    } finally {
      await unlink(place)
    }
  })

  test('has one class of errors for both entry points', async () => {
    const code = `${load(format, '{ MillraceError }', 'millrace')}
      ${load(format, '{ ManualClock }', 'millrace/testing')}
      new ManualClock().advance(-1).catch(error => console.log(JSON.stringify([error.code, error instanceof MillraceError])))`
    expect(await printed(format, code)).toEqual(['INVALID_CONFIG', true])
  })

  test('knows the errors of the copy in the other format, which has another class', async () => {
    const code = `${format === 'mjs' ? "import { createRequire } from 'node:module'" : ''}
      ${load(format, '{ isMillraceError, MillraceError }', 'millrace')}
      const other = ${format === 'mjs' ? "Promise.resolve(createRequire(import.meta.url)('millrace'))" : "import('millrace')"}
      other.then(({ Broker }) => {
        try {
          new Broker().topic('orders')
        } catch (error) {
          console.log(JSON.stringify({
            class: error instanceof MillraceError,
            code: isMillraceError(error, 'UNKNOWN_TOPIC_OR_PARTITION'),
            otherCode: isMillraceError(error, 'CLOSED'),
          }))
        }
      })`
    expect(await printed(format, code)).toEqual({ class: false, code: true, otherCode: false })
  })
})

describe('declarations', () => {
  const usage = `
    import { Broker, type Consumer } from 'millrace'
    import { ManualClock } from 'millrace/testing'
    export const broker = new Broker<{ orders: { id: number } }>({ clock: new ManualClock() })
    export const consumer: Consumer = broker.group('billing', { topics: 'orders' }).join()
    // @ts-expect-error a wrong value
    broker.topic('orders').publish({ value: 1 })
    import { kafkaBroker } from 'millrace/kafka'
    export const cluster = kafkaBroker<{ orders: { id: number } }>({ bootstrapBrokers: ['localhost:9092'] })
    // @ts-expect-error a wrong value here too
    void cluster.topic('orders').publish({ value: 1 })`

  // The library of ES2022 knows nothing of disposal: the package brings that. Bundlers: programs.test.ts.
  test.each([
    ['ES modules and CommonJS, as Node resolves them', ['usage.mts', 'usage.cts'], { module: 'Node16' }],
    ['what looks at no exports', ['usage.cts'], { module: 'CommonJS', moduleResolution: 'Node10' }],
  ])('are right for %s', async (_, files, options) => {
    const sources = Object.fromEntries(files.map(file => [file, usage]))
    expect(await diagnostics(sources, { ...options, lib: ['ES2022', 'DOM'] })).toBe('')
  })
})

describe('in a browser', () => {
  test('it runs on timers, microtasks, AbortController and text coders alone', async () => {
    const code = await bundle(
      `import { Broker, lastHeader } from 'millrace'
      export async function main() {
        const broker = new Broker({ topics: { orders: { partitions: 3 } } })
        const orders = broker.topic('orders')
        orders.publish({ key: 'Zoë', value: 'ünï', headers: { trace: '✓' } })
        orders.publish({ key: new Uint8Array([0, 255, 128]), value: 2 })
        orders.publish({ value: null })
        const group = broker.group('billing', { topics: 'orders' })
        const polled = []
        const first = group.join()
        await first.ready()
        while (polled.length < 3) polled.push(...await first.poll({ signal: new AbortController().signal }))
        const timedOut = await first.poll({ timeoutMs: 1 })
        await first.close()

        const handled = []
        const second = broker.group('audit', { topics: 'orders' }).join()
        await second.run((record, { stop }) => {
          handled.push(record.value)
          if (handled.length === 3) stop()
        })

        const stepped = []
        for await (const record of broker.group('third', { topics: 'orders' }).join()) {
          stepped.push(record.value)
          if (stepped.length === 3) break
        }
        const lag = group.lag()
        await broker.close()
        return {
          polled: polled.map(record => record.value), handled, stepped, timedOut, lag,
          trace: lastHeader(polled.find(record => record.key === 'Zoë'), 'trace'),
          partition: polled.find(record => record.key === 'Zoë').partition,
        }
      }`,
      { format: 'iife', globalName: 'app' },
    )
    const host = { setTimeout, clearTimeout, queueMicrotask, AbortController, TextEncoder, TextDecoder }
    const ran = JSON.parse(await runInContext(`${code}; app.main().then(JSON.stringify)`, createContext({ ...host })))
    const values = [2, null, 'ünï'].map(String)
    expect({
      ...ran,
      ...Object.fromEntries(['polled', 'handled', 'stepped'].map(way => [way, ran[way].map(String).sort()])),
    }).toEqual({
      polled: values,
      handled: values,
      stepped: values,
      timedOut: [],
      lag: 0,
      trace: '✓',
      partition: 1,
    })
  })

  test('a bundle that imports only murmur2 holds neither broker nor consumer', async () => {
    const only = (name: string): Promise<string> =>
      bundle(`import { ${name} } from 'millrace'; console.log(${name})`, { format: 'esm', minify: true })
    expect((await only('murmur2')).length).toBeLessThan(8_000)
    expect((await only('Broker')).length).toBeGreaterThan(20_000)
  })
})

describe('the process', () => {
  const polled = `import { Broker } from 'millrace'
    const broker = new Broker({ topics: { orders: { retention: { ms: 60_000 } } } })
    broker.topic('orders').publish({ value: 1 })
    const group = broker.group('billing', { topics: 'orders', autoCommitIntervalMs: 3_600_000 })
    const consumer = group.join({ instanceId: 'a', onAssigned() {}, onRevoked() {} })
    console.log((await consumer.poll()).length)\n`

  test('ends although a consumer with records in hand was never closed', async () => {
    expect(await script('mjs', polled)).toEqual({ code: 0, stdout: '1\n', stderr: '' })
  })

  test('ends although a poll waits that nobody awaits, and a commit is due', async () => {
    const code = `${polled} consumer.poll(); group.on('commit', () => console.log('committed'))`
    expect(await script('mjs', code)).toEqual({ code: 0, stdout: '1\n', stderr: '' })
  })

  test('ends although the seat of a static member is kept', async () => {
    expect(await script('mjs', `${polled} await consumer.close()`)).toEqual({ code: 0, stdout: '1\n', stderr: '' })
  })

  test('is not kept alive by a poll that it awaits: Node ends it with exit code 13', async () => {
    expect(await script('mjs', `${polled} await consumer.poll()`)).toMatchObject({ code: 13, stdout: '1\n' })
  })

  test('is kept alive by a poll that is to time out', async () => {
    const code = `${polled} console.log((await consumer.poll({ timeoutMs: 5 })).length)`
    expect(await script('mjs', code)).toEqual({ code: 0, stdout: '1\n0\n', stderr: '' })
  })

  test('is kept alive by a record that waits for its next attempt', async () => {
    const code = `${polled} await consumer.commit(); broker.topic('orders').publish({ value: 2 })
      await consumer.run((record, { attempt, stop }) => {
        console.log(record.value, attempt)
        if (attempt === 1) throw new Error('not yet')
        stop()
      }, { retry: { attempts: 2, backoffMs: 5 } })`
    expect(await script('mjs', code)).toEqual({ code: 0, stdout: '1\n2 1\n2 2\n', stderr: '' })
  })

  test('ends after broker.close(), with nothing left of timers', async () => {
    const code = `${polled} await broker.close(); console.log(process.getActiveResourcesInfo().includes('Timeout'))`
    expect(await script('mjs', code)).toEqual({ code: 0, stdout: '1\nfalse\n', stderr: '' })
  })
})

describe('the lock file', () => {
  const lock = async (): Promise<Record<string, { resolved?: string; optionalDependencies?: object }>> =>
    JSON.parse(await readFile(join(root, 'package-lock.json'), 'utf8')).packages

  test('names no registry', async () => {
    expect(Object.values(await lock()).filter(locked => locked.resolved !== undefined)).toEqual([])
  })

  test('has the binaries of every platform, so that the two commands work on each', async () => {
    const packages = await lock()
    const missing = Object.entries(packages).flatMap(([path, { optionalDependencies = {} }]) =>
      Object.keys(optionalDependencies).filter(
        name => !(`node_modules/${name}` in packages) && !(`${path}/node_modules/${name}` in packages),
      ),
    )
    expect(missing).toEqual([])
  })
})
