import type { Api, Kafka, Reader } from './platformatic.js'
import type { AbortedTransaction } from './record-batches.js'

export interface FetchedPartition {
  readonly partition: number
  readonly errorCode: number
  readonly aborted: readonly AbortedTransaction[]
  /** Whole record batches as the log has them, if there are any. */
  readonly records: Buffer | undefined
}
export interface FetchAnswer {
  /** The client, which its batches are read by. */
  readonly kafka: Kafka
  readonly errorCode: number
  readonly topics: readonly { readonly topicId: string; readonly partitions: readonly FetchedPartition[] }[]
}
export type FetchArgs = Parameters<Kafka['fetchV17']['createRequest']>
type FetchApi = Api<FetchArgs, FetchAnswer>

const apiKey = 1
const apiVersion = 17
/** The base offset, then the length of what follows. Kafka: Records.SIZE_OFFSET, LOG_OVERHEAD. */
const batchLengthAt = 8
const batchHeader = 12
let made: FetchApi | undefined

/**
 * Fetch as the client writes it, but read without making an object of every record, and past the tagged fields that a
 * partition which has moved comes with.
 */
export function fetchApi(kafka: Kafka): FetchApi {
  made ??= kafka.createAPI<FetchArgs, FetchAnswer>(
    apiKey,
    apiVersion,
    kafka.fetchV17.createRequest,
    (_id, _key, _version, reader) => readFetchAnswer(kafka, reader),
  )
  return made
}

/** Kafka: FetchResponse. */
export function readFetchAnswer(kafka: Kafka, reader: Reader): FetchAnswer {
  // How long the broker held it back for a quota.
  reader.readInt32()
  const errorCode = reader.readInt16()
  // Of a fetch session: there is none.
  reader.readInt32()
  const topics = list(reader, () => ({
    topicId: reader.readUUID(),
    partitions: list(reader, () => partition(reader)),
  }))
  return { kafka, errorCode, topics }
}

function partition(reader: Reader): FetchedPartition {
  const index = reader.readInt32()
  const errorCode = reader.readInt16()
  // High watermark, last stable offset, log start offset.
  reader.skip(24)
  const aborted = list(reader, () => ({
    producerId: reader.readInt64(),
    firstOffset: Number(reader.readInt64()),
  }))
  // The replica that the broker would rather have asked: none where no rack is named.
  reader.readInt32()
  const size = reader.readUnsignedVarInt() - 1
  const whole = wholeBatches(reader, size)
  const records = whole > 0 ? reader.buffer.slice(reader.position, reader.position + whole) : undefined
  if (size > 0) reader.skip(size)
  return { partition: index, errorCode, aborted, records }
}

/** How many of so many bytes are whole batches: a broker cuts the last one off at the size that was asked for. */
function wholeBatches(reader: Reader, size: number): number {
  let whole = 0
  while (whole + batchHeader <= size) {
    const length = reader.buffer.readInt32BE(reader.position + whole + batchLengthAt)
    // Whoever reads them tells what is wrong with them.
    if (length < 0) return size
    if (whole + batchHeader + length > size) break
    whole += batchHeader + length
  }
  return whole
}

/** A compact array, each of its entries with tagged fields behind it. */
function list<T>(reader: Reader, entry: () => T): T[] {
  const length = reader.readUnsignedVarInt() - 1
  const entries: T[] = []
  for (let i = 0; i < length; i++) {
    entries.push(entry())
    skipTaggedFields(reader)
  }
  return entries
}

/** KIP-482: how many, then each one's tag, size and bytes. */
export function skipTaggedFields(reader: Reader): void {
  const count = reader.readUnsignedVarInt()
  for (let i = 0; i < count; i++) {
    reader.readUnsignedVarInt()
    reader.skip(reader.readUnsignedVarInt())
  }
}
