import { MillraceError } from '../index.js'
import type { Kafka } from './platformatic.js'

const names: readonly string[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
const snappy = 2
/** How snappy-java, which Kafka's own clients use, frames its blocks: this, two versions of 32 bits, then lengths and blocks. */
const xerialHeader: Buffer = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
const xerialBlocksAt = 16

/** The records of a batch as they were. UNSUPPORTED_VERSION for what this Node.js, or the client, can't do. */
export function decompress(kafka: Kafka, compression: number, bytes: Buffer): Buffer {
  const name = names[compression]
  const algorithm = (kafka.compressionsAlgorithmsByBitmask as Record<number, Algorithm>)[compression]
  if (name === undefined || algorithm === undefined || !algorithm.available)
    throw new MillraceError('UNSUPPORTED_VERSION', {
      what: `Compression ${name ?? compression}`,
      needed: name === 'zstd' ? 'Node.js 22.15 or later' : 'a newer @platformatic/kafka',
    })
  if (compression === snappy && bytes.subarray(0, xerialHeader.length).equals(xerialHeader))
    return decompressXerial(algorithm, bytes)
  return asBuffer(algorithm.decompressSync(bytes))
}

interface Algorithm {
  readonly available: boolean
  decompressSync(bytes: Buffer): Uint8Array
}

function decompressXerial(algorithm: Algorithm, bytes: Buffer): Buffer {
  const blocks: Uint8Array[] = []
  for (let at = xerialBlocksAt; at + 4 <= bytes.length; ) {
    const end = at + 4 + bytes.readInt32BE(at)
    blocks.push(algorithm.decompressSync(bytes.subarray(at + 4, end)))
    at = end
  }
  return Buffer.concat(blocks)
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
