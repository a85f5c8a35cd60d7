import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { interleave, median, ratio } from '../harness.js'
import type { Family } from '../measure.js'

const script = fileURLToPath(new URL('first-record.js', import.meta.url))

/** A process that imports the library and consumes a record, and one that does nothing. */
export const coldStart: Family = async effort => {
  const start = (...args: string[]) => {
    return (): void => {
      const { status } = spawnSync(process.execPath, args, { stdio: ['ignore', 'ignore', 'inherit'] })
      if (status !== 0) throw new Error(`${args.join(' ')} ended with ${status}`)
    }
  }
  const times = await interleave(
    { millrace: start(script), nothing: start('-e', '0') },
    { rounds: effort.long ? 60 : 15, warmUp: 3, cpu: false },
  )
  const bar = (label: string, timings: readonly number[], ours: boolean) => ({
    label,
    value: median(timings),
    unit: 'ms',
    ours,
  })
  return [
    {
      measure: 'import and first record consumed in a cold process / `node -e 0`',
      aim: { text: '<= 1.3x', atMost: 1.3 },
      ...ratio(times.millrace, times.nothing),
      unit: 'x',
      bars: [bar('import, publish, poll', times.millrace, true), bar('node -e 0', times.nothing, false)],
    },
  ]
}
