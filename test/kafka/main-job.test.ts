// The main job on a cluster, as a user starts it: the member that dies is a process that is killed.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { expect, inject, test } from 'vitest'
import { within } from './world.js'

const root = join(import.meta.dirname, '../..')
const main = join(root, 'examples/access-log/main.ts')

interface Exit {
  readonly code: number
  readonly printed: string
  readonly complaint: string
}

/** What `npm start -- ...args` does. */
function start(args: readonly string[]): Promise<Exit> {
  return new Promise(resolve => {
    execFile(process.execPath, ['--import', 'tsx', main, ...args], { cwd: root }, (error, printed, complaint) =>
      resolve({ code: Number(error?.code ?? 0), printed, complaint }),
    )
  })
}

/** All tables but the proof: who came, what was asked for, what failed. */
const tablesOf = (printed: string): string =>
  printed.slice(printed.indexOf('9,999 requests by'), printed.indexOf('The proof'))

test.concurrent('proves on a cluster what it proves in memory, with the same tables', async () => {
  const [onCluster, inMemory] = await Promise.all([
    within('the job on the cluster', start(['--kafka', inject('kafka')]), 90_000),
    start([]),
  ])
  expect([onCluster.code, onCluster.complaint]).toEqual([0, ''])
  const lines = onCluster.printed.split('\n').map(line => line.trim().replace(/ +/g, ' '))
  // Half of a batch of fifty had been read by the process when it was killed.
  const [, dead, unsaved] = onCluster.printed.match(/! (process \d+) dies with (\d+) records? unsaved/) ?? []
  expect(Number(unsaved)).toBeGreaterThan(0)
  expect(lines).toEqual(
    expect.arrayContaining([
      `sessions 10,000 ${unsaved} 0 0 0`,
      'traffic 10,000 0 0 0 0',
      'errors 10,000 0 0 0 0',
      '✓ published: 10,000 records, of 10,000 lines',
      '✓ consumed: 10,000 by sessions, 10,000 by traffic, 10,000 by errors, 0 missing',
      '✓ in order: no group has seen a request of a visitor after a later one',
      '✓ finished: no group lags behind',
      expect.stringContaining(`✓ read twice: ${unsaved} records that ${dead} had not saved when it died (`),
      expect.stringContaining('+ a new member takes its place: process '),
      'All of it holds.',
    ]),
  )
  expect(tablesOf(onCluster.printed)).toContain('Who came most often')
  expect(tablesOf(onCluster.printed)).toBe(tablesOf(inMemory.printed))
}, 120_000)

test.concurrent.each([
  { what: 'an address that nobody listens on', args: ['--kafka', '127.0.0.1:1'], complaint: /127\.0\.0\.1:1\b/ },
  { what: 'an address without a port', args: ['--kafka', 'localhost'], complaint: /"?localhost"?/ },
  { what: 'no address', args: ['--kafka'], complaint: /--kafka/ },
])('$what: told in a line, exit 1', async ({ args, complaint }) => {
  const exit = await start(args)
  expect(exit.code).toBe(1)
  expect(exit.complaint).toMatch(complaint)
  expect(exit.complaint.trim().split('\n')).toHaveLength(1)
})
