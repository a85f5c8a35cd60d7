// Our own tests of the order service, unchanged, and jest's fake timers.
const { join } = require('node:path')

const rootDir = join(__dirname, '../..')

module.exports = {
  rootDir,
  roots: ['src', 'examples/order-service', 'test/runners'].map(folder => join(rootDir, folder)),
  testRegex: ['examples/order-service/.*\\.test\\.ts$', 'test/runners/.*\\.jest\\.ts$'],
  transform: { '\\.ts$': join(__dirname, 'esbuild-transform.cjs') },
  moduleNameMapper: {
    '^millrace$': join(rootDir, 'src/index.ts'),
    '^millrace/testing$': join(rootDir, 'src/testing/index.ts'),
    '^vitest$': join(__dirname, 'vitest-by-jest.ts'),
    // TypeScript names a module by what it becomes.
    '^(\\.{1,2}/.*)\\.js$': '$1',
  },
}
