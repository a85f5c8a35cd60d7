import { readFile, writeFile } from 'node:fs/promises'
import { defineConfig, type Options } from 'tsup'

/** Loaded when first used, also from CommonJS: it is ES modules only, which older releases of Node 20 can't require(). */
const loadedLater = '@platformatic/kafka'

/** The bundler makes import() in CommonJS a require(): this makes it what it was. */
const keepImport: NonNullable<Options['plugins']>[number] = {
  name: 'keep-import',
  async buildEnd({ writtenFiles }) {
    for (const { name } of writtenFiles) {
      if (!name.endsWith('.cjs')) continue
      const code = await readFile(name, 'utf8')
      const kept = code.replaceAll(
        `Promise.resolve().then(() => _interopRequireWildcard(require("${loadedLater}")))`,
        `import("${loadedLater}")`,
      )
      if (kept.includes(`require("${loadedLater}")`)) throw new Error(`${name} requires ${loadedLater}`)
      if (kept !== code) await writeFile(name, kept)
    }
  },
}

/**
 * Put into the ES modules: to find and load these two, small and CommonJS, takes Node 7 of the 20 ms that importing the
 * library and consuming a record takes. From CommonJS they are required.
 */
const putIn = ['eventemitter3', 'murmurhash-js']

export default defineConfig({
  entry: ['src/index.ts', 'src/testing/index.ts', 'src/streams/index.ts', 'src/kafka/index.ts'],
  format: ['esm', 'cjs'],
  target: 'es2022',
  platform: 'neutral',
  external: [loadedLater, /^node:/],
  noExternal: putIn,
  esbuildOptions(options, { format }) {
    if (format === 'cjs') options.external = [...(options.external ?? []), ...putIn]
  },
  removeNodeProtocol: false,
  plugins: [keepImport],
  // One copy of each class for all entry points, also in CommonJS.
  splitting: true,
  // The bundler drops reference directives from declarations; `await using` needs this one.
  dts: { banner: '/// <reference lib="esnext.disposable" />' },
  sourcemap: true,
  clean: true,
})
