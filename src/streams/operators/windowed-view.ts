import type { Windowed } from '../record.js'
import type { SessionWindowStore, TimestampedWindowStore } from '../stores/store.js'
import type { ValueGetterSupplier } from './operator.js'

/** Rows of time and sliding windows. Kafka: KStreamWindowAggregateValueGetter. */
export function windowView(name: string): ValueGetterSupplier<unknown, Windowed> {
  return {
    stores: [name],
    make() {
      let store: TimestampedWindowStore
      return {
        init(context) {
          store = context.store(name)
        },
        get: ({ key, start }) => store.get(key, start),
      }
    },
  }
}

/** Kafka: KTableSessionWindowValueGetter. */
export function sessionView(name: string): ValueGetterSupplier<unknown, Windowed> {
  return {
    stores: [name],
    make() {
      let store: SessionWindowStore
      return {
        init(context) {
          store = context.store(name)
        },
        get({ key, start, end }) {
          const value = store.get(key, start, end)
          return value === undefined ? undefined : { value, timestamp: end }
        },
      }
    },
  }
}
