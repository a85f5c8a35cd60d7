import type { Api, Kafka, Writer } from './platformatic.js'

/** Batches by topic and partition, each as it is stored. */
export type ProduceTopics = readonly {
  readonly name: string
  readonly partitions: readonly { readonly index: number; readonly records: Buffer }[]
}[]
export interface ProduceAnswer {
  readonly responses: readonly {
    readonly name: string
    readonly partitionResponses: readonly {
      readonly index: number
      readonly errorCode: number
      readonly errorMessage?: string | null | undefined
      readonly baseOffset: bigint
      readonly logAppendTimeMs: bigint
      readonly recordErrors: readonly { batchIndex: number; batchIndexErrorMessage?: string | null | undefined }[]
    }[]
  }[]
}

const apis = new WeakMap<Kafka, Api<[ProduceTopics, number], ProduceAnswer>>()

/**
 * Produce with acks from all in-sync replicas. The client's own one makes batches of message objects; this one takes
 * them made. Version 9: later answers may have tagged fields that the client's reader passes over wrongly.
 */
export function produce(kafka: Kafka): Api<[ProduceTopics, number], ProduceAnswer> {
  const known = apis.get(kafka)
  if (known !== undefined) return known
  const write = (topics: ProduceTopics, timeoutMs: number): Writer =>
    kafka.Writer.create()
      .appendString(null)
      .appendInt16(-1)
      .appendInt32(timeoutMs)
      .appendArray([...topics], (writer, { name, partitions }) => {
        writer.appendString(name).appendArray([...partitions], (inner, { index, records }) => {
          inner
            .appendInt32(index)
            .appendUnsignedVarInt(records.length + 1)
            .append(records)
        })
      })
      .appendTaggedFields()
  const api = kafka.createAPI<[ProduceTopics, number], ProduceAnswer>(
    0,
    9,
    write,
    kafka.produceV9.parseResponse as (...args: Parameters<typeof kafka.produceV9.parseResponse>) => ProduceAnswer,
  )
  apis.set(kafka, api)
  return api
}
