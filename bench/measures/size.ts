import { fileURLToPath } from 'node:url'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import type { Family } from '../measure.js'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** As a bundler takes it: everything that is exported, with its dependencies. */
async function bundled(entry: string): Promise<{ code: Buffer; perFile: [file: string, bytes: number][] }> {
  const { outputFiles, metafile } = await build({
    entryPoints: [`${root}${entry}`],
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    outdir: root,
    metafile: true,
    absWorkingDir: root,
  })
  const code = Buffer.from(outputFiles[0]!.contents)
  const { inputs } = Object.values(metafile.outputs)[0]!
  const perFile = Object.entries(inputs).map(([file, { bytesInOutput }]): [string, number] => [file, bytesInOutput])
  return { code, perFile: perFile.sort((a, b) => b[1] - a[1]) }
}

const kilobytes = (code: Buffer): number => code.length / 1_000

/** The main entry, minified and compressed. */
export const size: Family = async () => {
  const { code } = await bundled('bench/dist/library/index.js')
  const { perFile } = await bundled('src/index.ts')
  const compressed = kilobytes(brotliCompressSync(code))
  const largest = perFile.slice(0, 12)
  const rest = perFile.slice(12).reduce((sum, [, bytes]) => sum + bytes, 0)
  const bars = [...largest, ['all others', rest] as const].map(([file, bytes]) => ({
    label: file.replace(/^src\//, '').replace(/^node_modules\//, ''),
    value: bytes / 1_000,
    unit: 'KB minified',
    ours: !file.startsWith('node_modules/'),
  }))
  return [
    {
      measure: 'main entry, minified and compressed, its dependencies in',
      aim: { text: '<= 10 KB', atMost: 10 },
      value: compressed,
      unit: 'KB',
      bars,
      note: `brotli; gzip ${kilobytes(gzipSync(code, { level: 9 })).toFixed(1)} KB, minified ${kilobytes(code).toFixed(1)} KB`,
    },
  ]
}
