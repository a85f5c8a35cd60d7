// The service on a broker in memory: virtual time, several processes, and a bank that does what a test wants.
import { simulate, testBroker } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import { billing } from './billing.js'
import { mailing } from './mailing.js'
import { type Topics, topics } from './topics.js'

const order = (id: string, key = 'ada') => ({ key, value: { id, item: 'tea', cents: 450 } })

/** A bank that keeps its word: one id, one charge. */
function fakeBank(refuse: (customer: string | null) => void = () => {}) {
  const charged = new Set<string>()
  return {
    charged,
    async charge(orderId: string, customer: string | null) {
      refuse(customer)
      charged.add(orderId)
    },
  }
}
function fakePost() {
  const mails: string[] = []
  return { mails, send: async (customer: string | null, text: string) => void mails.push(`${customer}: ${text}`) }
}

describe('an order', () => {
  test('is charged, and its customer is told', async () => {
    await using broker = testBroker<Topics>({ topics })
    const [bank, post] = [fakeBank(), fakePost()]
    void billing(broker, bank)
    void mailing(broker, post)
    broker.topic('orders').publish(order('1'))
    await broker.settled()
    expect([...bank.charged]).toEqual(['1'])
    expect(broker.published('invoices').map(({ key, value }) => [key, value])).toEqual([
      ['ada', { orderId: '1', cents: 450 }],
    ])
    expect(post.mails).toEqual(['ada: order 1: 450 cents, thank you'])
  })

  test('outlives a bank that is busy twice', async () => {
    await using broker = testBroker<Topics>({ topics })
    broker.faults.fail('handle', { group: 'billing', times: 2, error: new Error('the bank is busy') })
    void billing(broker, fakeBank())
    broker.topic('orders').publish(order('1'))
    await broker.next('invoices')
    expect(broker.clock.now()).toBe(100 + 200) // the back-offs, in no time
    expect(broker.published('orders.dead')).toEqual([])
  })

  test('that nobody can pay for is put aside, and the next one goes on', async () => {
    await using broker = testBroker<Topics>({ topics: { ...topics, orders: { partitions: 1 } } })
    const post = fakePost()
    const bank = fakeBank(customer => {
      if (customer === 'bob') throw new Error('the card was refused')
    })
    void billing(broker, bank)
    void mailing(broker, post)
    broker.topic('orders').publishAll([order('1', 'bob'), order('2', 'ada')])
    await broker.next('orders.dead', ({ value }) => value.id === '1')
    await broker.settled()
    expect(broker.history.of('failed').map(({ attempt }) => attempt)).toEqual([1, 2, 3])
    expect([...post.mails].sort()).toEqual([
      'ada: order 2: 450 cents, thank you',
      'bob: order 1: we are sorry, the card was refused',
    ])
  })
})

describe('a process that dies', () => {
  test('between the charge and the commit leaves an order that is billed again', async () => {
    await using broker = testBroker<Topics>({ topics })
    const bank = fakeBank()
    const first = broker.process('first')
    const commit = broker.faults.hold('commit', { process: 'first' })
    void billing(first, bank)
    broker.topic('orders').publish(order('1'))
    await commit.reached
    first.crash()

    void billing(broker.process('second'), bank)
    await broker.settled()
    expect([...bank.charged]).toEqual(['1'])
    expect(broker.published('invoices')).toHaveLength(2)
  })

  test('whenever it does, costs no order and charges nobody twice', async () => {
    const { crashes } = await simulate<Topics>({ topics, schedules: 50, crashRate: 0.05 }, world => {
      const [bank, post] = [fakeBank(), fakePost()]
      world.service('billing', broker => billing(broker, bank), { copies: 2 })
      world.service('mailing', broker => mailing(broker, post))
      world.step(i => world.broker.topic('orders').publish(order(`${i}`, `customer ${i % 3}`)), { times: 8 })
      world.eventually(() => {
        expect(bank.charged.size).toBe(8)
        expect(new Set(post.mails).size).toBe(8)
      })
    })
    expect(crashes).toBeGreaterThan(50)
  })
})
