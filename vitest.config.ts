import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'

const source = (path: string): string => fileURLToPath(new URL(`src/${path}`, import.meta.url))

/** These see the package as its users do: built, packed and installed, once for all of them. */
const onThePackage = ['test/package.test.ts', 'test/programs.test.ts']
/** Programs as users write them that are tests themselves. */
const testPrograms = 'test/programs/{15-test-a-service,16-faults,22-test-a-topology}.ts'

export default defineConfig({
  resolve: {
    alias: {
      'millrace/testing': source('testing/index.ts'),
      'millrace/streams': source('streams/index.ts'),
      'millrace/kafka': source('kafka/index.ts'),
      millrace: source('index.ts'),
    },
  },
  test: {
    testTimeout: 20_000,
    projects: [
      {
        extends: true,
        test: { name: 'source', include: ['{test,examples}/**/*.test.ts', testPrograms], exclude: onThePackage },
      },
      {
        extends: true,
        test: {
          name: 'package',
          include: onThePackage,
          globalSetup: 'test/install-package.ts',
          testTimeout: 60_000,
        },
      },
    ],
  },
})
