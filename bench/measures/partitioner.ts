import { keyedPartitioner } from 'millrace'
import murmurhash from 'murmurhash-js'
import { interleave, median, ratio } from '../harness.js'
import type { Bar, Family, Row } from '../measure.js'

const calls = 1_000_000
const partitions = 6

/** A thousand keys, all alike but for a number of three digits. */
const keysLike = (text: string): { key: string }[] =>
  Array.from({ length: 1_000 }, (_, i) => ({ key: `${text}${String(i).padStart(3, '0')}` }))

const ascii = keysLike('customer-')
const latin = keysLike('zürich-é')
const longAscii = keysLike('the-customer-')
const longLatin = keysLike('für-zürich-')

let sink = 0

/** From a key to its partition, against the bare hash of an ASCII text of about as many bytes. */
export const partitioner: Family = async effort => {
  const partition = keyedPartitioner()
  const once = Array.from({ length: calls }, (_, i) => ({ key: `order-${i}` }))
  const onceLatin = Array.from({ length: calls }, (_, i) => ({ key: `zürich-${i}` }))
  const ours = (records: readonly { key: string }[]) => (): void => {
    for (let i = 0; i < calls; i++) sink += partition(records[i % records.length]!, partitions)
  }
  const bare = (records: readonly { key: string }[]) => (): void => {
    for (let i = 0; i < calls; i++)
      sink += (murmurhash.murmur2(records[i % records.length]!.key, 0x9747b28c) & 0x7fffffff) % partitions
  }
  const times = await interleave(
    {
      ascii: ours(ascii),
      latin: ours(latin),
      once: ours(once),
      onceLatin: ours(onceLatin),
      longAscii: ours(longAscii),
      longLatin: ours(longLatin),
      murmurhash: bare(ascii),
      murmurhashOnce: bare(once),
      murmurhashLong: bare(longAscii),
    },
    effort,
  )
  if (Number.isNaN(sink)) throw new Error('No partition')

  const bar = (label: string, timings: readonly number[], mine: boolean): Bar => ({
    label,
    value: (median(timings) / calls) * 1e6,
    unit: 'ns',
    ours: mine,
  })
  const bars = [
    bar('millrace, ASCII, 12 bytes', times.ascii, true),
    bar('millrace, not ASCII, 13 bytes', times.latin, true),
    bar('millrace, ASCII, 16 bytes', times.longAscii, true),
    bar('millrace, not ASCII, 16 bytes', times.longLatin, true),
    bar('murmurhash-js, ASCII, 12 bytes', times.murmurhash, false),
    bar('murmurhash-js, ASCII, 16 bytes', times.murmurhashLong, false),
  ]
  const barsOnce = [
    bar('millrace, ASCII', times.once, true),
    bar('millrace, not ASCII', times.onceLatin, true),
    bar('murmurhash-js, ASCII', times.murmurhashOnce, false),
  ]
  const row = (which: string, timings: readonly number[], bare: readonly number[], drawn: readonly Bar[]): Row => ({
    measure: `murmur2 partitioning of string keys, ${which} / murmurhash-js on an ASCII string`,
    aim: { text: '<= 1.2x the time', atMost: 1.2 },
    ...ratio(timings, bare),
    unit: 'x',
    bars: drawn,
    note: 'of keys of up to 12 characters that come again, the hash is known',
  })
  return [
    row('ASCII, a thousand keys', times.ascii, times.murmurhash, bars),
    row('not ASCII, a thousand keys', times.latin, times.murmurhash, bars),
    row('ASCII, each key once', times.once, times.murmurhashOnce, barsOnce),
    row('not ASCII, each key once', times.onceLatin, times.murmurhashOnce, barsOnce),
  ]
}
