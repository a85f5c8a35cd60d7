import type { Codec } from '../../index.js'
import type { StateStore, StoreSetup } from '../stores/store.js'

/** A store of a topology, of which each task makes its own. Two specs of one name are two stores, which is refused. */
export interface StoreSpec {
  readonly name: string
  /** What a query can read it as; undefined for a store that only its operators understand. */
  readonly kind: 'key-value' | 'window' | 'session' | 'windowed key-value' | undefined
  /** Whether it has a changelog: `<applicationId>-<store>-changelog`. */
  readonly logging: boolean
  /** Of its values, in the changelog. */
  readonly codec: Codec<any> | undefined
  /** From a window's start to its end; window stores only. */
  readonly windowSizeMs?: number | undefined
  make(setup: StoreSetup): StateStore
}
