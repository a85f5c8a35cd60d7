// All that jest needs to run TypeScript: types away, imports to require().
const { transformSync } = require('esbuild')

module.exports = {
  process: (source, sourcefile) =>
    transformSync(source, { loader: 'ts', format: 'cjs', target: 'node20', sourcemap: 'inline', sourcefile }),
}
