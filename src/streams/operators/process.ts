import { MillraceError } from '../../index.js'
import type { FixedKeyProcessor, Processor, ProcessorContext } from '../processor.js'
import { type Headers, noHeaders, type RecordContext, type StreamKey } from '../record.js'
import { shown } from '../shown.js'
import { type Store, specOf } from '../store-handles.js'
import { type Writer, writableKeyValues, writableSessions, writableWindows } from '../stores/views.js'
import type { StoreSpec } from '../topology/store-spec.js'
import type { Operator, OperatorContext } from './operator.js'
import { checkedKey } from './stateless.js'

const isHeader = (header: unknown): boolean => {
  const [name, value] = (Array.isArray(header) ? header : []) as readonly unknown[]
  return typeof name === 'string' && (value === null || typeof value === 'string' || value instanceof Uint8Array)
}

interface Forwarded {
  readonly key?: StreamKey
  readonly value: unknown
  readonly timestamp?: number | undefined
  readonly headers?: Headers | undefined
}

/** Processors at work, or that have been. */
const taken = new WeakSet<object>()

/** A user's processor at its node. Kafka: ProcessorNode; with `fixedKey` the key is kept (FixedKeyProcessor). */
export class ProcessOperator implements Operator {
  readonly #supplier: () => Processor<any, any, any, any> | FixedKeyProcessor<any, any, any>
  readonly #specs: readonly StoreSpec[]
  readonly #fixedKey: boolean
  readonly #views = new Map<string, unknown>()
  #context!: OperatorContext
  #processor!: Processor<any, any, any, any>
  /** The record or punctuation at work. */
  #record: RecordContext | undefined
  #key: StreamKey = null
  #doing: 'nothing' | 'init' | 'process' | 'punctuation' = 'nothing'

  constructor(
    supplier: () => Processor<any, any, any, any> | FixedKeyProcessor<any, any, any>,
    specs: readonly StoreSpec[],
    fixedKey: boolean,
  ) {
    this.#supplier = supplier
    this.#specs = specs
    this.#fixedKey = fixedKey
  }

  init(context: OperatorContext): void {
    this.#context = context
    const made: unknown = this.#supplier()
    if (typeof (made as { process?: unknown } | null)?.process !== 'function')
      context.refuse('a processor is an object with process(); got', made)
    // Kafka: ApiUtils.checkSupplier — tasks that shared one would share its context.
    if (taken.has(made as object)) context.refuse('each task needs a processor of its own; was given one again:', made)
    taken.add(made as object)
    this.#processor = made as Processor<any, any, any, any>
    this.#do('init', undefined, () => this.#processor.init?.(this.#facade()))
  }

  process(value: unknown, key: StreamKey, context: RecordContext): void {
    this.#key = key
    this.#do('process', context, () => this.#processor.process(value, key, context))
  }
  #do(what: 'init' | 'process' | 'punctuation', record: RecordContext | undefined, act: () => unknown): void {
    this.#record = record
    this.#doing = what
    try {
      this.#context.result(act())
    } finally {
      this.#record = undefined
      this.#doing = 'nothing'
    }
  }
  /** What an async callback does after its first await can't be undone with its record any more. */
  #checkAtWork(act: string): void {
    if (this.#doing === 'nothing')
      throw new TypeError(`${this.#context.node}: ${act} is for init(), process() and punctuations, while they run`)
  }

  close(): void {
    this.#context.result(this.#processor.close?.() as unknown)
  }

  #facade(): ProcessorContext<any, any> {
    const context = this.#context
    return {
      taskId: context.taskId,
      get streamTime() {
        return context.streamTime
      },
      get wallClockTime() {
        return context.wallClockTime
      },
      store: store => this.#store(store),
      forward: record => this.#forward(record),
      schedule: (intervalMs, time, punctuate) => this.#schedule(intervalMs, time, punctuate),
    }
  }

  #store<S>(handle: Store<S>): S {
    const spec = specOf(handle)
    if (spec === undefined) this.#context.refuse('store() takes a handle of keyValueStore() and the like; got', handle)
    if (!this.#specs.includes(spec))
      throw new MillraceError(
        'UNKNOWN_STORE',
        { store: spec.name },
        { cause: new TypeError(`${this.#context.node} has not named it: put its handle into the list of stores`) },
      )
    let view = this.#views.get(spec.name)
    if (view === undefined) {
      view = this.#writable(spec, this.#context.store(spec.name))
      this.#views.set(spec.name, view)
    }
    return view as S
  }

  #writable({ name, kind, windowSizeMs = 0 }: StoreSpec, store: any): unknown {
    const now = (): number => {
      this.#checkAtWork(`writing to store ${name}`)
      return this.#now()
    }
    const writer: Writer = {
      get timestamp() {
        return now()
      },
      result: value => {
        this.#checkAtWork(`writing to store ${name}`)
        return this.#context.result(value)
      },
    }
    if (kind === 'key-value') return writableKeyValues(store, writer)
    return kind === 'window' ? writableWindows(store, windowSizeMs, writer) : writableSessions(store, writer)
  }

  #forward(record: Forwarded): void {
    if (typeof record !== 'object' || record === null)
      this.#context.refuse('forward() takes a record { key, value }; got', record)
    this.#checkAtWork('forward()')
    if (this.#fixedKey && this.#doing !== 'process')
      throw new TypeError(`${this.#context.node}: a forward with the key kept belongs to a record, and none is at work`)
    const key = this.#fixedKey ? this.#key : checkedKey(this.#context, record.key)
    const { topic, partition, offset } = this.#record ?? { topic: undefined, partition: -1, offset: -1 }
    const timestamp = record.timestamp ?? this.#now()
    if (!Number.isSafeInteger(timestamp) || timestamp < 0)
      this.#context.refuse('a timestamp is whole milliseconds of at least 0; got', timestamp)
    const headers = record.headers === undefined ? (this.#record?.headers ?? noHeaders) : this.#headers(record.headers)
    this.#context.forward(this.#context.result(record.value), key, { topic, partition, offset, timestamp, headers })
  }
  #headers(headers: unknown): Headers {
    if (!Array.isArray(headers) || !headers.every(isHeader))
      this.#context.refuse('headers are an array of [name, value]; got', headers)
    return headers as unknown as Headers
  }
  #now(): number {
    return this.#record?.timestamp ?? Math.max(0, this.#context.streamTime)
  }

  #schedule(
    intervalMs: number,
    time: 'stream time' | 'wall clock time',
    punctuate: (timestamp: number) => void,
  ): () => void {
    this.#checkAtWork('schedule()')
    const of = `of schedule() in ${this.#context.node}`
    if (!Number.isSafeInteger(intervalMs) || intervalMs < 1)
      throw new MillraceError('INVALID_CONFIG', {
        option: `intervalMs ${of}`,
        value: intervalMs,
        expected: 'whole milliseconds of at least 1',
      })
    if (time !== 'stream time' && time !== 'wall clock time')
      throw new MillraceError('INVALID_CONFIG', {
        option: `time ${of}`,
        value: time,
        expected: "'stream time' or 'wall clock time'",
      })
    if (typeof punctuate !== 'function') throw new TypeError(`punctuate ${of} is a function; got ${shown(punctuate)}`)
    return this.#context.schedule(intervalMs, time, timestamp => {
      const record: RecordContext = { topic: undefined, partition: -1, offset: -1, timestamp, headers: noHeaders }
      this.#do('punctuation', record, () => punctuate(timestamp))
    })
  }
}
