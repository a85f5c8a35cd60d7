// An interceptor goes around all that a broker's users do. This one (tracing.ts) is for OpenTelemetry: the trace context
// travels in the headers, so that what a handler does belongs to whoever published its record.
import { context, propagation, trace } from '@opentelemetry/api'
import { AsyncLocalStorageContextManager } from '@opentelemetry/context-async-hooks'
import { W3CTraceContextPropagator } from '@opentelemetry/core'
import { BasicTracerProvider, InMemorySpanExporter, SimpleSpanProcessor } from '@opentelemetry/sdk-trace-base'
import { Broker } from 'millrace'
import { tracing } from './tracing.js'

const exporter = new InMemorySpanExporter()
trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }))
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable())
propagation.setGlobalPropagator(new W3CTraceContextPropagator())

const topics = { orders: {}, mails: {} }
const broker = new Broker<{ orders: string; mails: string }>({ topics, interceptors: [tracing()] })

const billing = broker.group('billing', { topics: 'orders' }).join()
void billing.run(({ value }) => {
  broker.topic('mails').publish({ value: `the bill for ${value}` })
})
const mailing = broker.group('mailing', { topics: 'mails' }).join()
const send = (attempt: number): void => {
  if (attempt === 1) throw new Error('nobody is in')
}
void mailing.run((_, { attempt }) => send(attempt), { retry: { attempts: 2 } })

for (const item of ['tea', 'cake'])
  trace.getTracer('web').startActiveSpan(`POST /orders/${item}`, request => {
    broker.topic('orders').publish({ value: item })
    request.end()
  })
await broker.settled()
await broker.close()

// The spans as a tree: each under its parent.
const spans = exporter.getFinishedSpans()
function show(parentId: string | undefined, depth: number): void {
  for (const span of spans.filter(({ parentSpanContext }) => parentSpanContext?.spanId === parentId)) {
    console.log(`${'  '.repeat(depth)}${span.name} ${span.status.message ?? ''}`.trimEnd())
    show(span.spanContext().spanId, depth + 1)
  }
}
show(undefined, 0)

// Output:
// POST /orders/tea
//   publish orders
//     process orders
//       publish mails
//         process mails nobody is in
//         process mails
// POST /orders/cake
//   publish orders
//     process orders
//       publish mails
//         process mails nobody is in
//         process mails
