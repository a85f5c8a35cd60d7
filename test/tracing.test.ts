import { context, propagation, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from '@opentelemetry/sdk-trace-base'
import { lastHeader } from 'millrace'
import { type TestBroker, testBroker } from 'millrace/testing'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { tracing } from '../examples/tracing.js'

interface Topics {
  orders: string
  invoices: string
  dead: string
}

const exporter = new InMemorySpanExporter()
trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }))
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
propagation.setGlobalPropagator(new W3CTraceContextPropagator())
afterAll(() => {
  for (const api of [trace, context, propagation]) api.disable()
})

let broker: TestBroker<Topics>
beforeEach(() => {
  exporter.reset()
  broker = testBroker<Topics>({ topics: { orders: {}, invoices: {}, dead: {} }, interceptors: [tracing()] })
})
afterEach(() => broker.close())

const spans = (name: string): ReadableSpan[] => exporter.getFinishedSpans().filter(span => span.name === name)
const idOf = (span: ReadableSpan | undefined): string | undefined => span?.spanContext().spanId
/** From the span up to its root, by name. */
function ancestry(span: ReadableSpan | undefined): string[] {
  if (span === undefined) return []
  const parent = exporter.getFinishedSpans().find(other => idOf(other) === span.parentSpanContext?.spanId)
  return [span.name, ...ancestry(parent)]
}
const inSpan = <T>(name: string, act: () => T): T =>
  trace.getTracer('test').startActiveSpan(name, span => {
    try {
      return act()
    } finally {
      span.end()
    }
  })

describe('a trace', () => {
  test('goes from the publisher to the handler, and on to what the handler publishes', async () => {
    void broker
      .group('billing', { topics: 'orders' })
      .join()
      .run(async ({ value }) => {
        await broker.clock.advance(0)
        await broker.topic('invoices').publish({ value })
      })
    void broker
      .group('mailing', { topics: 'invoices' })
      .join()
      .run(() => {})
    inSpan('request', () => broker.topic('orders').publish({ value: 'tea' }))
    await broker.settled()
    const way = ['process invoices', 'publish invoices', 'process orders', 'publish orders', 'request']
    expect(ancestry(spans('process invoices')[0])).toEqual(way)
    expect(new Set(exporter.getFinishedSpans().map(span => span.spanContext().traceId)).size).toBe(1)
  })

  test('travels in the headers, in the W3C format, beside what is there', async () => {
    const headers = { tenant: 'a', traceparent: 'of another' }
    inSpan('request', () => broker.topic('orders').publish({ value: 'tea', headers }))
    const [record] = broker.published('orders')
    const { traceId, spanId } = spans('publish orders')[0]!.spanContext()
    expect(record!.headers.map(([name]) => name)).toEqual(['tenant', 'traceparent'])
    expect(lastHeader(record!, 'traceparent')).toBe(`00-${traceId}-${spanId}-01`)
  })

  test('is not mixed up with others that are worked on at the same time', async () => {
    const ids = ['a', 'b', 'c', 'd']
    void broker
      .group('billing', { topics: 'orders' })
      .join()
      .run(
        async ({ key, value }) => {
          await broker.clock.advance(0)
          broker.topic('invoices').publish({ key, value })
        },
        { concurrency: ids.length },
      )
    for (const id of ids) inSpan(`request ${id}`, () => broker.topic('orders').publish({ key: id, value: id }))
    await broker.settled()
    const roots = broker.published('invoices').map(record => {
      const spanId = lastHeader(record, 'traceparent')!.split('-')[2]
      return [record.value, ancestry(spans('publish invoices').find(span => idOf(span) === spanId)).at(-1)]
    })
    expect(roots.sort()).toEqual(ids.map(id => [id, `request ${id}`]))
  })

  test('has a span for each attempt, and goes on in the dead letter', async () => {
    const running = broker.group('billing', { topics: 'orders' }).join()
    void running.run(() => Promise.reject(new Error('no')), {
      retry: { attempts: 2 },
      deadLetter: broker.topic('dead'),
    })
    inSpan('request', () => broker.topic('orders').publish({ value: 'tea' }))
    await broker.next('dead')
    const attempts = spans('process orders')
    expect(attempts.map(({ kind, status, attributes }) => [kind, status, attributes['attempt']])).toEqual([
      [SpanKind.CONSUMER, { code: SpanStatusCode.ERROR, message: 'no' }, 1],
      [SpanKind.CONSUMER, { code: SpanStatusCode.ERROR, message: 'no' }, 2],
    ])
    for (const attempt of attempts) expect(attempt.parentSpanContext?.spanId).toBe(idOf(spans('publish orders')[0]))
    // Nobody publishes it: it is the child of what published the order.
    expect(ancestry(spans('publish dead')[0])).toEqual(['publish dead', 'publish orders', 'request'])
  })

  test('begins with a publish that nothing is around', () => {
    broker.topic('orders').publish({ value: 'tea' })
    expect(ancestry(spans('publish orders')[0])).toEqual(['publish orders'])
    expect(spans('publish orders')[0]!.kind).toBe(SpanKind.PRODUCER)
  })

  test('shows a publish that was refused', () => {
    expect(() => broker.topic('orders').publish({ value: 'tea', partition: 7 })).toThrow()
    expect(spans('publish orders')[0]!.status.code).toBe(SpanStatusCode.ERROR)
  })
})
