// What no operator does, a processor does: three declined cards of one customer within a minute are an alarm. It keeps
// its state in a store, which moves with its task, and cleans up by stream time.
import {
  keyValueStore,
  type Processor,
  type ProcessorContext,
  StreamsBuilder,
  TopologyTestDriver,
} from 'millrace/streams'
import { moment, table } from '../access-log/table.js'

interface Charge {
  readonly euros: number
  readonly declined: boolean
}
interface Topics {
  charges: Charge // by customer
  alarms: number // euros, by customer
}

const minute = 60_000
/** The declined charges of the last minute, by customer. */
const declined = keyValueStore<readonly { readonly time: number; readonly euros: number }[]>('declined')

class FraudDetector implements Processor<Charge, string | null, number> {
  #context!: ProcessorContext<number, string | null>

  init(context: ProcessorContext<number, string | null>): void {
    this.#context = context
    context.schedule(minute, 'stream time', now => this.#forgetBefore(now - minute))
  }

  process(charge: Charge, customer: string | null, { timestamp: time }: { timestamp: number }): void {
    if (!charge.declined || customer === null) return
    const store = this.#context.store(declined)
    const recent = (store.get(customer) ?? []).filter(other => other.time > time - minute)
    const tried = [...recent, { time, euros: charge.euros }] // values are shared: never changed, replaced
    store.put(customer, tried.length < 3 ? tried : null)
    if (tried.length < 3) return
    this.#context.forward({ key: customer, value: tried.reduce((sum, { euros }) => sum + euros, 0) })
  }

  /** Most customers have one declined card and never another. */
  #forgetBefore(time: number): void {
    const store = this.#context.store(declined)
    for (const [customer, charges] of store.range()) if (charges.at(-1)!.time <= time) store.delete(customer)
  }
}

const builder = new StreamsBuilder<Topics>()
const charges = builder.stream('charges')
charges.process<number>(() => new FraudDetector(), [declined]).to('alarms')

const driver = new TopologyTestDriver(builder.build())
const charge = (seconds: number, key: string, euros: number, declined = true): void =>
  driver.pipe('charges', { key, value: { euros, declined }, timestamp: Date.UTC(2024, 0, 1, 9, 0, seconds) })

charge(0, 'eve', 100)
charge(10, 'ada', 20)
charge(20, 'eve', 200)
charge(21, 'ada', 20, false)
driver.moveTask('0_0') // to another instance, as it were: what was declined moves along
charge(59, 'eve', 400)
charge(100, 'bob', 5)
charge(130, 'bob', 6)
charge(170, 'bob', 7) // the first was longer ago than a minute

const alarms = driver.read('alarms').map(({ key, value, timestamp }) => [moment(timestamp), key ?? '', value])
console.log(table('Three declined cards within a minute', ['at (UTC)', 'customer', 'euros'], alarms))
const left = [...driver.query(declined).range()].map(([customer, charges]) => [customer, charges.length])
console.log(table('Still remembered', ['customer', 'declined'], left))

// Output:
// Three declined cards within a minute
//   at (UTC)             customer  euros
//   2024-01-01 09:00:59  eve         700
// Still remembered
//   customer  declined
//   bob              2
