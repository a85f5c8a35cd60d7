import { rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { type BuildOptions, build, type Plugin } from 'esbuild'
import { build as buildLibrary } from 'tsup'

const here = fileURLToPath(new URL('.', import.meta.url))
const dist = `${here}dist`

/** The measures import the library as it is published: built, not as it is written. */
const asPublished: Plugin = {
  name: 'millrace as published',
  setup({ onResolve }) {
    onResolve({ filter: /^millrace(\/\w+)?$/ }, ({ path }) => ({
      path: `./library/${path
        .replace(/^millrace\/?/, '')
        .replace(/$/, '/index.js')
        .replace(/^\//, '')}`,
      external: true,
    }))
  },
}

/** Every question for an interceptor of the hot paths, answered in advance: there is none. */
const withoutInterceptors: Plugin = {
  name: 'interceptors cut out',
  setup({ onLoad }) {
    const asked = /[\w.#]*(?:#around|interceptor\.(?:poll|handle|commit)) (===|!==) undefined/g
    onLoad({ filter: /[\\/]src[\\/][\w-]+\.ts$/ }, async ({ path }) => ({
      contents: (await readFile(path, 'utf8')).replace(asked, (_, operator) => String(operator === '===')),
      loader: 'ts',
    }))
  },
}

/** The library, the measures, and what else they run, under bench/dist. */
export async function buildAll(): Promise<void> {
  rmSync(dist, { recursive: true, force: true })
  await buildLibrary({ outDir: `${dist}/library`, dts: false, format: 'esm', silent: true })
  const common: BuildOptions = { bundle: true, format: 'esm', platform: 'node', target: 'node20', outdir: dist }
  await build({
    ...common,
    entryPoints: [`${here}child.ts`, `${here}first-record.ts`],
    packages: 'external',
    plugins: [asPublished],
  })
  const library = { in: `${here}../src/index.ts`, out: 'whole' }
  await build({ ...common, entryPoints: [library] })
  await build({
    ...common,
    entryPoints: [{ ...library, out: 'without-interceptors' }],
    plugins: [withoutInterceptors],
  })
}
