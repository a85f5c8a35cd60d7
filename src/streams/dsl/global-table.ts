import type { StoreSpec } from '../topology/store-spec.js'
import type { GlobalKTable } from './ktable.js'
import type { Program } from './program.js'

/** Kafka: GlobalKTableImpl. */
export class GlobalTable implements GlobalKTable<any> {
  declare readonly row?: any
  readonly program: Program
  readonly store: StoreSpec

  constructor(program: Program, store: StoreSpec) {
    this.program = program
    this.store = store
  }
}
