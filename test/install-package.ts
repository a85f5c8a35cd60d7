import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdir, mkdtemp, readdir, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { TestProject } from 'vitest/node'

declare module 'vitest' {
  interface ProvidedContext {
    /** A folder of an app that has installed the packed tarball of this package. */
    app: string
    /** That tarball. */
    tarball: string
  }
}

const root = join(import.meta.dirname, '..')
const dependencies = ['eventemitter3', 'murmurhash-js'].map(name => join(root, 'node_modules', name))

/** Builds, packs and installs the package, away from the sources and without the network. */
export default async function installPackage(project: TestProject): Promise<() => Promise<void>> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'millrace-')))
  try {
    const [pack, packed, app] = ['package', 'packed', 'app'].map(name => join(folder, name)) as [string, string, string]
    await Promise.all([pack, packed, app].map(path => mkdir(path)))
    await Promise.all([build(pack), npm(packed, 'pack', ...dependencies)])
    await npm(packed, 'pack', pack)
    const tarballs = await readdir(packed)
    await writeFile(join(app, 'package.json'), '{ "private": true }')
    await npm(app, 'install', '--offline', ...tarballs.map(name => join(packed, name)))
    project.provide('app', app)
    project.provide('tarball', join(packed, tarballs.find(name => name.startsWith('millrace-'))!))
  } catch (error) {
    await rm(folder, { recursive: true })
    throw error
  }
  return () => rm(folder, { recursive: true })
}

async function build(pack: string): Promise<void> {
  const tsup = join(root, 'node_modules/tsup/dist/cli-default.js')
  await run(process.execPath, [tsup, '--out-dir', join(pack, 'dist')], root)
  for (const name of ['package.json', 'README.md', 'LICENSE', 'CHANGELOG.md', 'docs'])
    if (existsSync(join(root, name))) await cp(join(root, name), join(pack, name), { recursive: true })
}

function npm(cwd: string, command: string, ...args: string[]): Promise<unknown> {
  return run('npm', [command, '--ignore-scripts', '--no-audit', '--no-fund', ...args], cwd)
}

/** Its output is what an error shows. */
async function run(command: string, args: readonly string[], cwd: string): Promise<void> {
  const shell = process.platform === 'win32' && command === 'npm'
  await promisify(execFile)(command, args, { cwd, shell }).catch((error: { stdout: string; stderr: string }) => {
    throw new Error(`${command} ${args.join(' ')} failed\n${error.stdout}\n${error.stderr}`)
  })
}
