import { fileURLToPath } from 'node:url'
import { defineConfig } from 'vitest/config'
import { missing } from './test/kafka/cluster.js'

const source = (path: string): string => fileURLToPath(new URL(`src/${path}`, import.meta.url))

/** These see the package as its users do: built, packed and installed, once for all of them. */
const onThePackage = ['test/package.test.ts', 'test/programs.test.ts']
/** These see a real Apache Kafka, one for all of them. */
const onKafka = 'test/kafka/**/*.test.ts'
/** This file is read once for each project: the first looks, and tells. */
const looked = process.env['MILLRACE_KAFKA_LACKS']
const lacking = looked ?? missing() ?? ''
process.env['MILLRACE_KAFKA_LACKS'] = lacking
const leftOut = lacking !== '' && !process.env['CI']
if (leftOut && looked === undefined)
  console.warn(`LEFT OUT: all tests of millrace/kafka on a real cluster, since there is no ${lacking} on this machine`)
/** The client that millrace/kafka stands on: 1.35 for Node 20, or 2.x. */
const client = process.env['MILLRACE_KAFKA_CLIENT'] === '2' ? 'platformatic-kafka-2' : '@platformatic/kafka'
/** Programs as users write them that are tests themselves. */
const testPrograms = 'test/programs/{15-test-a-service,16-faults,22-test-a-topology}.ts'

export default defineConfig({
  resolve: {
    alias: {
      'millrace/testing': source('testing/index.ts'),
      'millrace/streams': source('streams/index.ts'),
      'millrace/kafka': source('kafka/index.ts'),
      millrace: source('index.ts'),
      ...(client === '@platformatic/kafka' ? {} : { '@platformatic/kafka': client }),
    },
  },
  test: {
    testTimeout: 20_000,
    projects: [
      {
        extends: true,
        test: {
          name: 'source',
          include: ['{test,examples}/**/*.test.ts', testPrograms],
          exclude: [...onThePackage, onKafka],
        },
      },
      ...(leftOut
        ? []
        : [
            {
              extends: true as const,
              test: {
                name: 'kafka',
                include: [onKafka],
                globalSetup: 'test/kafka/start-cluster.ts',
                // They wait most of the time: for sessions to end, for brokers to come back.
                maxWorkers: 3,
                sequence: { groupOrder: 1 },
                testTimeout: 60_000,
                hookTimeout: 60_000,
              },
            },
          ]),
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
