import { describePlan } from './describe.js'
import { mermaidOf } from './mermaid.js'
import type { TopologyPlan } from './plan.js'

/** What a StreamsBuilder has built: it has no state, and can be run any number of times. Kafka: Topology. */
export interface Topology<Topics extends object> {
  /** In Kafka's own words (TopologyDescription), which its viewers read. */
  describe(): string
  /** The same as a picture: a Mermaid flowchart, one box per sub-topology. */
  toMermaid(): string
  /** Phantom: the topics it was built for. */
  readonly topics?: (topics: Topics) => void
}

export class BuiltTopology implements Topology<any> {
  declare readonly topics?: (topics: any) => void
  readonly #plan: TopologyPlan

  constructor(plan: TopologyPlan) {
    this.#plan = plan
  }
  describe(): string {
    return describePlan(this.#plan)
  }
  toMermaid(): string {
    return mermaidOf(this.#plan)
  }

  static planOf(topology: unknown): TopologyPlan {
    if (typeof topology === 'object' && topology !== null && #plan in topology) return topology.#plan
    throw new TypeError('A topology is what build() of a StreamsBuilder gives')
  }
}
/** TypeError for what no builder has built. */
export const planOf: (topology: unknown) => TopologyPlan = BuiltTopology.planOf
