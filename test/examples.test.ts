import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { format } from 'node:util'
import { gzipSync } from 'node:zlib'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { InputError, openLog } from '../examples/access-log/input.js'
import { type Outcome, runJob } from '../examples/access-log/job.js'
import { runLive } from '../examples/access-log/live.js'
import { addressOf, parseLine } from '../examples/access-log/log-line.js'
import { prove } from '../examples/access-log/proof.js'
import { proofText } from '../examples/access-log/report.js'
import { visit } from '../examples/access-log/session.js'
import { SessionStore } from '../examples/access-log/session-store.js'
import type { LogRecord } from '../examples/access-log/topics.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const numbered = readdirSync(join(root, 'examples')).filter(name => /^\d.*\.ts$/.test(name))

const ofStreams = readdirSync(join(root, 'examples/streams')).map(name => `streams/${name}`)
const limits = [
  ...[...numbered, 'order-service/main.ts'].map(name => ({ name, limit: 60 })),
  ...ofStreams.map(name => ({ name, limit: 80 })),
]

test('the course has ten examples, numbered without a gap', () => {
  expect(numbered.map(name => name.slice(0, 2)).join(' ')).toBe('01 02 03 04 05 06 07 08 09 10')
})

test('streams have three examples, numbered without a gap', () => {
  expect(ofStreams.map(name => name.slice(0, 10)).join(' ')).toBe('streams/01 streams/02 streams/03')
})

describe.each(limits)('examples/$name', ({ name, limit }) => {
  const path = join(root, 'examples', name)
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n')

  test(`is shorter than ${limit} lines`, () => {
    expect(lines.length).toBeLessThan(limit)
  })

  test('prints what stands at its end', async () => {
    const printed: string[] = []
    const log = vi.spyOn(console, 'log').mockImplementation((...values) => void printed.push(format(...values)))
    try {
      await import(/* @vite-ignore */ path)
    } finally {
      log.mockRestore()
    }
    const expected = lines.slice(lines.indexOf('// Output:') + 1).map(line => line.replace(/^\/\/ ?/, ''))
    expect(printed.join('\n').split('\n')).toEqual(expected)
  })
})

// All figures were counted by other means, from the log itself (zcat examples/data/access.log.gz > log). One line is
// cut off before its closing quote; all but the first figure are about the others (grep '"$' log > whole).
//   lines              wc -l < log
//   visitors           awk '{print $1}' whole | sort -u | wc -l
//   sessions           awk '{print $1, substr($4,2,14)}' whole | sort -u | wc -l
//                      for all requests of an hour lie in one minute, so that each hour is a session of its own
//                      (awk '{print substr($4,17,2)}' log | sort | uniq -c)
//   days               awk '{d=substr($4,2,11); n[d]++; b[d]+=$10; s[d" "substr($9,1,1)]++} END {for (d in n) print
//                      d, n[d], b[d], s[d" 2"], s[d" 3"], s[d" 4"], s[d" 5"]}' whole
//   requests per hour  awk '{print substr($4,2,14)}' whole | sort | uniq -c
//   failed pages       awk '$9>=400 {p=$7; sub(/[?].*/,"",p); print $9, p}' whole | sort | uniq -c
//   errors by page     awk '{p=$7; sub(/[?].*/,"",p); n[p]++; if ($9>=400) f[p]++} END {for (p in f) print f[p], n[p],
//                      p}' whole | sort -rn
//   bytes per hour     awk '{h=substr($4,2,14); n[h]++; b[h]+=$10} END {for (h in n) print h, n[h], b[h]}' whole
//   dead letters       grep -nE '" 5[0-9]{2} ' log; grep -nv '"$' log
const tables = [
  '9,999 requests by 1,753 visitors in 3,052 sessions',
  '46.105.14.53 84 364',
  '66.249.73.135 80 482',
  '50.16.19.13 76 113',
  '209.85.238.199 60 102',
  '75.97.9.59 2015-05-18 08:05:00 59 s 108',
  '130.237.218.86 2015-05-20 00:05:00 59 s 59',
  '144.76.194.187 2015-05-17 13:05:00 59 s 34',
  '2015-05-17 1,632 414,259,902 1,513 89 30 0',
  '2015-05-18 2,893 788,636,158 2,538 289 64 2',
  '2015-05-19 2,896 665,827,339 2,664 166 66 0',
  '2015-05-20 2,578 878,559,106 2,455 65 57 1',
  'all 9,999 2,747,282,505 9,170 609 217 3',
  '2015-05-19 19:00:00 136 9,230,304',
  '404 213 61 /files/logstash/logstash-1.3.2-monolithic.jar',
  '416 2 2 /files/xdotool/xdotool-2.20101014.3063.tar.gz',
  '500 3 2 /misc/Title.php.txt',
  '2,071 answered with 500 66.249.73.135',
  '3,473 answered with 500 66.249.73.135',
  '8,899 not in the combined log format 46.118.127.106',
  '9,158 answered with 500 64.131.102.243',
]
const requestsPerHour = [
  '0 0 0 0 0 0 0 0 0 0 74 111 115 118 120 125 126 123 118 121 129 123 118 111',
  '116 118 125 114 115 125 121 124 110 122 132 121 120 119 122 133 114 132 123 113 113 130 113 118',
  '117 122 125 113 125 122 130 111 121 117 121 115 115 125 134 112 115 110 130 136 124 114 115 127',
  '128 120 115 127 115 124 115 122 114 125 116 112 111 113 122 126 118 119 107 123 120 86 0 0',
]
const liveTables = [
  'two instances, with 12 tasks and 12 tasks',
  '! one stops: the other has 24 tasks now',
  '2015-05-17 10:00 74 requests 5,185,322 bytes',
  '2015-05-19 19:00 136 requests 9,230,304 bytes',
  '9,999 requests by 1,753 visitors in 3,052 sessions',
  '46.105.14.53 84 364',
  '66.249.73.135 80 482',
  '61 61 100 % /files/logstash/logstash-1.3.2-monolithic.jar',
  '12 12 100 % /wp-login.php',
  '2015-05-20 19:00:00 123 2,494,280',
  '2015-05-20 20:00:00 120 6,427,059',
  '2015-05-20 21:00:00 86 4,127,318',
  '81 hours final, each once; 9,999 requests in hours, of 10,000 lines',
]
const progress = [
  'Reading examples/data/access.log.gz',
  ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map(thousands => `${thousands},000 published sessions`),
  '! sessions-000',
  '+ a new member takes its place: ',
]
const proof = [
  'sessions 10,000 25 0 0 0',
  'traffic 10,000 0 0 0 0',
  'errors 10,000 0 0 0 0',
  '✓ published: 10,000 records, of 10,000 lines',
  '✓ consumed: 10,000 by sessions, 10,000 by traffic, 10,000 by errors, 0 missing',
  '✓ in order: no group has seen a request of a visitor after a later one',
  '✓ finished: no group lags behind',
  // Half of a batch of fifty.
  '✓ read twice: 25 records that sessions-000',
  '✓ counted once: 9,999 requests in sessions, 9,999 in hours, 1 unparseable',
  '✓ dead letters: 4, for 1 unparseable and 3 answered with 5xx',
  'All of it holds.',
]

/** Two sessions of one visitor, half an hour apart, one of another, and two lines that are no requests. */
const smallLog = [
  '10.0.0.1 - - [01/Jan/2024:10:00:00 +0100] "GET /a?page=1 HTTP/1.1" 200 100 "-" "me"',
  '10.0.0.1 - - [01/Jan/2024:09:29:59 +0000] "GET /a HTTP/1.1" 200 100 "-" "say \\"me\\""',
  'what is this',
  '10.0.0.1 - - [01/Jan/2024:09:59:59 +0000] "GET /a HTTP/1.1" 304 - "-" "me"',
  '2001:db8::1 - ann smith [01/Jan/2024:10:00:00 +0000] "GET /b HTTP/1.1" 503 7 "-" "me"',
  '2001:db8::1 - - [01/Jan/2024:10:00:00 +0000] "GET /b HT',
].join('\n')
const smallResult = [
  '4 requests by 2 visitors in 3 sessions',
  '10.0.0.1 2 3',
  '2001:db8::1 1 1',
  '10.0.0.1 2024-01-01 09:00:00 29 min 59 s 2',
  'all 4 207 2 1 0 1',
  '503 1 1 /b',
  '3 not in the combined log format what is this',
  '5 answered with 503 2001:db8::1',
  '6 not in the combined log format 2001:db8::1',
  '✓ published: 6 records, of 6 lines',
  '✓ counted once: 4 requests in sessions, 4 in hours, 2 unparseable',
  '✓ dead letters: 3, for 2 unparseable and 1 answered with 5xx',
  'All of it holds.',
]

const folder = mkdtempSync(join(tmpdir(), 'access-log-'))
const inFolder = (name: string): string => join(folder, name)
writeFileSync(inFolder('small.log'), `${smallLog}\n`)
writeFileSync(inFolder('small.log.gz'), gzipSync(smallLog))
writeFileSync(inFolder('windows.log'), smallLog.replaceAll('\n', '\r\n'))
writeFileSync(inFolder('empty.log'), '')
writeFileSync(inFolder('cut.log.gz'), gzipSync(smallLog).subarray(0, -20))
afterAll(() => rmSync(folder, { recursive: true }))

interface Exit {
  readonly code: number
  /** Its lines, with single spaces for many. */
  readonly printed: string[]
  readonly complaint: string
}

/** What `npm start -- ...args` does. */
function start(args: readonly string[], input: string | Buffer = ''): Promise<Exit> {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
  const [runner, main] = scripts.start.split(' ')
  expect(runner).toBe('tsx')
  return new Promise(resolve => {
    const child = execFile(process.execPath, ['--import', 'tsx', main, ...args], { cwd: root }, (error, out, err) =>
      resolve({ code: Number(error?.code ?? 0), printed: squeezed(out), complaint: err }),
    )
    child.stdin?.end(input)
  })
}

const squeezed = (text: string): string[] => text.split('\n').map(line => line.trim().replace(/ +/g, ' '))

/** Each of these begins a line of what was printed. */
function expectLines(printed: readonly string[], expected: readonly string[]): void {
  expect(expected.filter(line => !printed.some(one => one.startsWith(line)))).toEqual([])
}

describe.concurrent('the main job, started', () => {
  test('proves its figures on the log that comes with it, and shows how it gets there', async () => {
    const { code, printed, complaint } = await start([])
    expect([code, complaint]).toEqual([0, ''])
    expectLines(printed, [...progress, ...tables, ...proof])
    expect(printed.filter(line => line.startsWith('✗'))).toEqual([])
  })

  test('takes another file', async () => {
    const { code, printed } = await start([inFolder('small.log')])
    expect(code).toBe(0)
    expectLines(printed, [`Reading ${inFolder('small.log')}`, ...smallResult])
  })

  test('takes standard input', async () => {
    const { code, printed } = await start(['-'], gzipSync(smallLog))
    expect(code).toBe(0)
    expectLines(printed, ['Reading standard input', ...smallResult])
  })

  test('shows the same figures live, as a topology', async () => {
    const { code, printed, complaint } = await start(['--streams'])
    expect([code, complaint]).toEqual([0, ''])
    expectLines(printed, liveTables)
    expect(printed.filter(line => / requests .* bytes .* visitors so far$/.test(line))).toHaveLength(81)
  })

  test('exits with 1 and the name of a file that does not exist', async () => {
    expect(await start(['nowhere.log'])).toEqual({
      code: 1,
      printed: [''],
      complaint: expect.stringMatching(/^cannot read nowhere\.log: ENOENT[^\n]*\n$/),
    })
  })
})

describe('the pieces of the main job', () => {
  const lines = async (path: string): Promise<string[]> => {
    const all: string[] = []
    for await (const line of await openLog(path)) all.push(line)
    return all
  }

  test('a log is read by lines, plain or gzipped, whatever ends them', async () => {
    for (const name of ['small.log', 'small.log.gz', 'windows.log'])
      expect(await lines(inFolder(name))).toEqual(smallLog.split('\n'))
  })

  test.each([
    ['is empty', 'empty.log', 'is empty'],
    ['is cut off', 'cut.log.gz', 'unexpected end of file'],
    ['is a folder', '.', 'EISDIR'],
  ])('a file that %s is refused by name', async (_, name, reason) => {
    const refusal = await lines(inFolder(name)).catch((error: unknown) => error)
    expect(refusal).toBeInstanceOf(InputError)
    expect((refusal as Error).message).toContain(inFolder(name))
    expect((refusal as Error).message).toContain(reason)
  })

  async function* oneByOne(log: readonly string[]): AsyncGenerator<string> {
    yield* log
  }
  const run = (log: readonly string[]): Promise<Outcome> => runJob(oneByOne(log), () => {})

  test('requests per hour are those of the log', async () => {
    const { traffic } = await run(await lines(join(root, 'examples/data/access.log.gz')))
    const counted = [17, 18, 19, 20].map(day =>
      Array.from({ length: 24 }, (_, hour) => traffic.hours.get(Date.UTC(2015, 4, day, hour))?.requests ?? 0).join(' '),
    )
    expect(counted).toEqual(requestsPerHour)
  })

  test('the topology finds what the groups find, for each visitor, hour and page', async () => {
    const log = await lines(join(root, 'examples/data/access.log.gz'))
    const [byHand, live] = await Promise.all([run(log), runLive(oneByOne(log), () => {})])
    expect([...live.visitors].sort()).toEqual(
      byHand.sessions.store.visitors.map(({ address, sessions, requests }) => [address, { sessions, requests }]).sort(),
    )
    const hours = [...live.hours, ...live.openHours].map(({ from, ...load }) => [from, load])
    expect(hours).toEqual([...byHand.traffic.hours].map(([from, { requests, bytes }]) => [from, { requests, bytes }]))

    const pages = new Map<string, { failed: number; requests: number }>()
    for (const line of log) {
      const { page, status } = parseLine(line) ?? {}
      if (page === undefined || status === undefined) continue
      const { failed, requests } = pages.get(page) ?? { failed: 0, requests: 0 }
      pages.set(page, { failed: failed + (status >= 400 ? 1 : 0), requests: requests + 1 })
    }
    expect([...live.pages].sort()).toEqual([...pages].filter(([, { failed }]) => failed > 0).sort())
  })

  test('what is lost, unread, unordered or read twice for no reason fails the proof', async () => {
    const outcome = await run(smallLog.split('\n'))
    const failedClaims = (wrong: Partial<Outcome>): (string | undefined)[] => {
      const { claims, holds } = prove({ ...outcome, ...wrong })
      expect(holds).toBe(false)
      return claims.filter(claim => !claim.holds).map(({ claim }) => claim.split(':')[0])
    }
    expect(prove(outcome).holds).toBe(true)
    expect(failedClaims({ lines: 7 })).toEqual(['published', 'counted once'])
    expect(failedClaims({ deadLetters: [] })).toEqual(['dead letters'])
    const { sessions } = outcome
    sessions.witness.distinct -= 1
    expect(failedClaims({})).toEqual(['consumed'])
    sessions.witness.distinct += 1
    sessions.witness.again.set('sessions-0001', 2)
    expect(failedClaims({})).toEqual(['read twice'])
    sessions.witness.outOfOrder += 1
    expect(failedClaims({})).toEqual(['in order', 'read twice'])
    expect(proofText(prove(outcome))).toContain('NOT PROVED')
  })

  test('half an hour of silence ends a session, and a late line does not begin one', () => {
    const at = (minutes: number) => ({ address: 'a', time: minutes * 60_000, page: '/', status: 200, bytes: 0 })
    const sessions = (...minutes: number[]): number | undefined =>
      minutes.reduce<ReturnType<typeof visit> | undefined>((visitor, minute) => visit(visitor, at(minute)), undefined)
        ?.sessions
    expect(sessions(0)).toBe(1)
    expect(sessions(0, 29.99, 59.98)).toBe(1)
    expect(sessions(0, 30)).toBe(2)
    expect(sessions(10, 9, 39.5)).toBe(1)
  })

  test('sessions are saved once, in order, with the offset that they cover', () => {
    const store = new SessionStore()
    const record = (offset: number): LogRecord => ({
      topic: 'requests',
      partition: 3,
      offset,
      timestamp: 0,
      key: null,
      value: { line: 1, text: '', request: undefined },
      headers: [],
    })
    store.save([record(0), record(1)], [])
    expect(store.nextOffset(3)).toBe(2)
    expect(() => store.save([record(1)], [])).toThrow('partition 3: offset 2 is next, not 1')
    expect(() => store.save([record(2), record(4)], [])).toThrow('partition 3: offset 3 is next, not 4')
    expect(store.nextOffset(3)).toBe(2)
  })

  test('a line is a request in the combined format, or none', () => {
    expect(parseLine(smallLog.split('\n')[0]!)).toEqual({
      address: '10.0.0.1',
      time: Date.UTC(2024, 0, 1, 9),
      page: '/a',
      status: 200,
      bytes: 100,
    })
    expect(parseLine('h - - [01/Jan/2024:09:00:00 +0000] "-" 408 - "-" "-"')).toMatchObject({ page: '-', bytes: 0 })
    expect(parseLine('h - - [01/Foo/2024:09:00:00 +0000] "GET / HTTP/1.1" 200 1 "-" "-"')).toBeUndefined()
    expect(parseLine('h - - [01/Jan/1969:09:00:00 +0000] "GET / HTTP/1.1" 200 1 "-" "-"')).toBeUndefined()
    expect(parseLine('h - - [01/Jan/2024:09:00:00 +0000] "GET / HTTP/1.1" 200 1')).toBeUndefined()
    expect(['2001:db8::1 - -', '10.0.0.1', 'GET / HTTP/1.1', ''].map(addressOf)).toEqual([
      '2001:db8::1',
      '10.0.0.1',
      null,
      null,
    ])
  })
})
