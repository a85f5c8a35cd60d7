import { type KafkaBroker, type KafkaBrokerOptions, kafkaBroker } from 'millrace/kafka'
import { inject } from 'vitest'

export type AnyTopics = Record<string, any>

let names = 0
/** A name that no other test uses, on a cluster that all of them share. */
export function fresh(name: string): string {
  return `${name}-${Date.now().toString(36)}-${process.pid}-${++names}`
}

/** A broker of the cluster that all tests share. */
export function onCluster(options: Partial<KafkaBrokerOptions<AnyTopics>> = {}): KafkaBroker<AnyTopics> {
  return kafkaBroker<AnyTopics>({ bootstrapBrokers: [inject('kafka')], ...options })
}

/** What is there now. */
export async function all<T>(records: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = []
  for await (const record of records) found.push(record)
  return found
}

/** What it rejects with, or throws. */
export async function failure(call: () => unknown): Promise<any> {
  try {
    await call()
  } catch (error) {
    return error
  }
  throw new Error('it went well')
}
