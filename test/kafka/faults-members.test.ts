// A member that is killed while it works.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, inject, test } from 'vitest'
import { fresh, onCluster } from './support.js'
import { until, within } from './world.js'

const doomed = join(import.meta.dirname, 'faults-doomed-member.ts')

test('a member killed in a handler: another begins with the record that was at work', async () => {
  const topic = fresh('orders')
  const id = fresh('group')
  await using broker = onCluster({ topics: { [topic]: { partitions: 2 } } })
  await broker.ready()
  const records = Array.from({ length: 20 }, (_, i) => ({ value: Math.floor(i / 2), partition: i % 2 }))
  await broker.topic(topic).publishAll(records)

  const child = spawn(process.execPath, ['--import', 'tsx', doomed, inject('kafka'), topic, id], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  try {
    const [line] = await within('the handler', once(createInterface(child.stdout), 'line'))
    const { partition } = JSON.parse(line)
    const group = broker.group(id, { topics: topic, commitMode: 'manualCommit' })
    const seen: number[][] = [[], []]
    const survivor = group.join()
    const running = survivor.run(async record => void seen[record.partition]!.push(record.offset))
    await until('the group to answer', () => survivor.memberId !== undefined)
    expect(seen[partition]).toEqual([])
    child.kill('SIGKILL')
    expect((await ended)[1]).toBe('SIGKILL')
    await until('what it had', () => seen.every(offsets => offsets.at(-1) === 9))
    expect(seen[partition]).toEqual([3, 4, 5, 6, 7, 8, 9])
    await survivor.close()
    await running
  } finally {
    child.kill('SIGKILL')
  }
})
