import { execFile } from 'node:child_process'
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { inject } from 'vitest'

/** The repository. */
export const root: string = join(import.meta.dirname, '..')
/** An app that has installed the package. */
export const app: string = inject('app')
export const installed: string = join(app, 'node_modules/millrace')

export interface Outcome {
  /** The exit code; undefined for a process that did not end by itself. */
  readonly code: number | undefined
  readonly stdout: string
  readonly stderr: string
}

/** Runs Node, as this test does, to its end; one that has not ended after 40 seconds is killed. */
export function node(...args: readonly string[]): Promise<Outcome> {
  return new Promise(resolve => {
    execFile(process.execPath, args, { cwd: app, timeout: 40_000, killSignal: 'SIGKILL' }, (error, stdout, stderr) => {
      const code = error === null ? 0 : typeof error.code === 'number' ? error.code : undefined
      resolve({ code, stdout, stderr })
    })
  })
}

/** Runs a script of the app, as an ES module or as CommonJS. */
export async function script(format: 'mjs' | 'cjs', code: string): Promise<Outcome> {
  const file = join(await folder(), `script.${format}`)
  await writeFile(file, code)
  return node(file)
}

/** What such a script prints as JSON. */
export async function printed(format: 'mjs' | 'cjs', code: string): Promise<unknown> {
  const { code: exit, stdout, stderr } = await script(format, code)
  if (exit !== 0) throw new Error(`${stdout}\n${stderr}`)
  return JSON.parse(stdout)
}

/** What the compiler has to say of files in the app, written there by name; '' if nothing. */
export async function diagnostics(files: Readonly<Record<string, string>>, options: object): Promise<string> {
  const project = await folder()
  await Promise.all(Object.entries(files).map(([name, text]) => writeFile(join(project, name), text)))
  const compilerOptions = {
    target: 'ES2022',
    noEmit: true,
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    skipLibCheck: false,
    types: [],
    ...options,
  }
  await writeFile(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: Object.keys(files) }))
  await writeFile(join(project, 'package.json'), '{ "type": "module" }')
  const { code, stdout, stderr } = await node(join(root, 'node_modules/typescript/bin/tsc'), '--project', project)
  return code === 0 ? '' : stdout + stderr || `exit code ${code}`
}

/** An empty folder of the app. */
export async function folder(): Promise<string> {
  await mkdir(join(app, 'src'), { recursive: true })
  return mkdtemp(join(app, 'src/'))
}

export async function manifest(): Promise<Record<string, unknown>> {
  return JSON.parse(await readFile(join(installed, 'package.json'), 'utf8'))
}
