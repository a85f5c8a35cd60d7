import type { StoreOptions } from '../store-options.js'
import { InMemoryKeyValueStore } from '../stores/key-value-store.js'
import { InMemorySessionStore } from '../stores/session-store.js'
import { InMemoryWindowStore } from '../stores/window-store.js'
import { WindowedKeyValueStore } from '../stores/windowed-key-value-store.js'
import type { StoreSpec } from '../topology/store-spec.js'
import { retentionOf, type SessionWindows, type SlidingWindows, type TimeWindows } from '../windows.js'

type Options = StoreOptions<any>
/** Whether a table's keys are text or windows of it. */
export type TableKeys = 'text' | 'windowed'

/** The rows of a table. Kafka: KeyValueStoreMaterializer. */
export function rowsSpec(name: string, { codec, logging = true }: Options, keys: TableKeys = 'text'): StoreSpec {
  if (keys === 'windowed')
    return { name, kind: 'windowed key-value', logging, codec, make: setup => new WindowedKeyValueStore(setup) }
  return { name, kind: 'key-value', logging, codec, make: setup => new InMemoryKeyValueStore(setup) }
}

/** The windows of an aggregate. Kafka: WindowStoreMaterializer, SlidingWindowStoreMaterializer, SessionStoreMaterializer. */
export function windowsSpec(
  name: string,
  { codec, logging = true, retentionMs: asked }: Options,
  windows: TimeWindows | SlidingWindows | SessionWindows,
): StoreSpec {
  const retentionMs = retentionOf(windows, asked)
  if (windows.kind === 'session')
    return {
      name,
      kind: 'session',
      logging,
      codec,
      make: setup => new InMemorySessionStore({ ...setup, retentionMs }),
    }
  const windowSizeMs = windows.kind === 'time' ? windows.sizeMs : windows.differenceMs
  return {
    name,
    kind: 'window',
    windowSizeMs,
    logging,
    codec,
    make: setup => new InMemoryWindowStore({ ...setup, retentionMs }),
  }
}
