// OpenTelemetry for a broker: each publish and each call of a handler is a span, and the trace context travels in the
// headers of the records, so that a handler's span is the child of its publisher's, in whatever process that was.
import { context, propagation, ROOT_CONTEXT, type Span, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api'
import type { HeaderValue, Interceptor, ProducerRecord } from 'millrace'

type Header = readonly [string, HeaderValue]
const getter = {
  keys: (headers: readonly Header[]) => headers.map(([name]) => name),
  get(headers: readonly Header[], name: string) {
    const value = headers.findLast(header => header[0] === name)?.[1]
    return value instanceof Uint8Array ? new TextDecoder().decode(value) : (value ?? undefined)
  },
}
const setter = { set: (headers: Header[], name: string, value: string) => void headers.push([name, value]) }

export function tracing(): Interceptor {
  const tracer = trace.getTracer('millrace')
  return {
    publish({ topic, record }, proceed) {
      const given = listOf(record.headers)
      // A dead letter, which no handler publishes, brings the trace of its record along.
      const parent = trace.getActiveSpan() ? context.active() : propagation.extract(ROOT_CONTEXT, given, getter)
      const attributes = { 'messaging.destination.name': topic }
      const span = tracer.startSpan(`publish ${topic}`, { kind: SpanKind.PRODUCER, attributes }, parent)
      const headers = given.filter(([name]) => !propagation.fields().includes(name))
      propagation.inject(trace.setSpan(parent, span), headers, setter)
      try {
        return proceed({ ...record, headers })
      } catch (error) {
        throw failed(span, error)
      } finally {
        span.end()
      }
    },

    async handle({ group, record, attempt }, proceed) {
      const { topic, partition, offset } = record
      const parent = propagation.extract(ROOT_CONTEXT, record.headers, getter)
      const attributes = {
        'messaging.destination.name': topic,
        'messaging.destination.partition.id': String(partition),
        'messaging.kafka.offset': offset,
        'messaging.consumer.group.name': group,
        attempt,
      }
      const span = tracer.startSpan(`process ${topic}`, { kind: SpanKind.CONSUMER, attributes }, parent)
      try {
        return await context.with(trace.setSpan(parent, span), proceed)
      } catch (error) {
        throw failed(span, error)
      } finally {
        span.end()
      }
    },
  }
}

function failed(span: Span, error: unknown): unknown {
  const message = error instanceof Error ? error.message : String(error)
  span.recordException(message)
  span.setStatus({ code: SpanStatusCode.ERROR, message })
  return error
}

/** Headers come in three kinds. */
const listOf = (headers: ProducerRecord<unknown>['headers'] = []): Header[] =>
  Symbol.iterator in headers ? [...headers] : Object.entries(headers)
