import { keyedPartitioner } from 'millrace'
import murmurhash from 'murmurhash-js'
import { interleave, median, ratio } from '../harness.js'
import type { Bar, Family } from '../measure.js'

const calls = 2_000_000
const distinct = 1_000

const ascii = Array.from({ length: distinct }, (_, i) => `customer-${String(i).padStart(7, '0')}`)
const latin = Array.from({ length: distinct }, (_, i) => `zürich-é${String(i).padStart(6, '0')}`)
const wide = Array.from({ length: distinct }, (_, i) => `東京${String(i).padStart(10, '0')}`)

let sink = 0

/** From a key to its partition, against the bare hash of a text of as many bytes (16). */
export const partitioner: Family = async effort => {
  const partition = keyedPartitioner()
  const records = (keys: readonly string[]) => keys.map(key => ({ key }))
  const ours = (keys: readonly string[]) => {
    const list = records(keys)
    return (): void => {
      for (let i = 0; i < calls; i++) sink += partition(list[i % distinct]!, 6)
    }
  }
  const times = await interleave(
    {
      ascii: ours(ascii),
      latin: ours(latin),
      wide: ours(wide),
      murmurhash: () => {
        const list = records(ascii)
        for (let i = 0; i < calls; i++)
          sink += (murmurhash.murmur2(list[i % distinct]!.key, 0x9747b28c) & 0x7fffffff) % 6
      },
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
    bar('millrace, ASCII', times.ascii, true),
    bar('millrace, Latin', times.latin, true),
    bar('millrace, Japanese', times.wide, true),
    bar('murmurhash-js, ASCII', times.murmurhash, false),
  ]
  const aim = { text: '<= 1.2x the time', atMost: 1.2 }
  const row = (which: string, timings: readonly number[]) => ({
    measure: `murmur2 partitioning of string keys, ${which} / murmurhash-js on an ASCII string`,
    aim,
    ...ratio(timings, times.murmurhash),
    unit: 'x',
    bars,
  })
  return [row('ASCII', times.ascii), row('not ASCII', times.latin)]
}
