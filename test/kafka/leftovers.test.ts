// What stays behind of a broker that is closed: nothing.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, inject, test } from 'vitest'
import { fresh } from './support.js'

const root = join(import.meta.dirname, '../..')

/** Runs a script in a process of its own, which must end by itself. */
async function inProcess(code: string): Promise<string> {
  const index = JSON.stringify(join(root, 'src/kafka/index.ts'))
  const text = `import { kafkaBroker } from ${index}
    const broker = kafkaBroker({ bootstrapBrokers: [${JSON.stringify(inject('kafka'))}], requestTimeoutMs: 5_000 })
    // A handle is listed until the turn after the one in which its end is told.
    const settled = async () => {
      for (let turn = 0; turn < 10 && left().length > 0; turn++) await new Promise(resolve => setImmediate(resolve))
      return JSON.stringify(left())
    }
    const left = () => process.getActiveResourcesInfo().filter(name => !/Pipe|TTY|Message|File|Immediate/.test(name))
    const name = ${JSON.stringify(fresh('orders'))}
    ${code}`
  const args = ['--import', 'tsx', '--input-type=module', '--eval', text]
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: root, timeout: 50_000 })
  return stdout
}

test('processes of their own run on the client that the tests are told to', async () => {
  const door = JSON.stringify(join(root, 'src/kafka/platformatic.ts'))
  const code = `
    const { loadKafka } = await import(${door})
    console.log('apiVersionsV1' in (await loadKafka()))`
  expect(await inProcess(code)).toBe(`${process.env['MILLRACE_KAFKA_CLIENT'] === '2'}\n`)
})

test('after close() no socket and no timer is left, and the process ends', async () => {
  const code = `
    const orders = await broker.createTopic(name, { partitions: 3 })
    await orders.publishAll(Array.from({ length: 100 }, (_, value) => ({ value })))
    const group = broker.group(name, { topics: name })
    const consumers = [group.join(), group.join({ onRevoked: (_, me) => me.commit() })]
    const running = consumers.map(consumer => consumer.run(() => {}))
    await group.caughtUp()
    const tail = orders.read()[Symbol.asyncIterator]()
    await tail.next()
    const parked = orders.read({ from: 'latest' })[Symbol.asyncIterator]().next()
    await broker.close()
    await Promise.all([...running, parked])
    console.log(await settled())`
  expect(await inProcess(code)).toBe('[]\n')
})

test('a reading after close() brings connections of its own, and takes them along', async () => {
  const code = `
    const orders = await broker.createTopic(name)
    await orders.publish({ value: 1 })
    await broker.close()
    let read = 0
    for await (const _ of orders.read({ until: 'latest' })) read++
    console.log(read, await settled())`
  expect(await inProcess(code)).toBe('1 []\n')
})

test('a broker that was never used, and one that nobody answers, leave nothing either', async () => {
  const code = `
    await broker.close()
    const deaf = kafkaBroker({ bootstrapBrokers: ['127.0.0.1:1'], requestTimeoutMs: 300 })
    await deaf.ready().catch(() => {})
    const joining = deaf.group('billing', { topics: 'orders' }).join()
    await deaf.close().catch(() => {})
    console.log(await settled())`
  expect(await inProcess(code)).toBe('[]\n')
})
