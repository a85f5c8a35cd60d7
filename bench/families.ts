import type { Family } from './measure.js'
import { coldStart } from './measures/cold-start.js'
import { fanOut } from './measures/fan-out.js'
import { flow } from './measures/flow.js'
import { concurrent, serial } from './measures/handlers.js'
import { idleGroups } from './measures/idle-groups.js'
import { interceptors } from './measures/interceptors.js'
import { iteration } from './measures/iteration.js'
import { latency } from './measures/latency.js'
import { memory } from './measures/memory.js'
import { partitioner } from './measures/partitioner.js'
import { rebalance } from './measures/rebalance.js'
import { retention } from './measures/retention.js'
import { scale } from './measures/scale.js'
import { size } from './measures/size.js'
import { streams } from './measures/streams.js'
import { streamsDriver } from './measures/streams-driver.js'
import { streamsState } from './measures/streams-state.js'

/** In the order of the table; each is measured in a process of its own, so that none sees what another left behind. */
export const families: { readonly [name: string]: Family } = {
  flow,
  iteration,
  serial,
  concurrent,
  latency,
  'fan-out': fanOut,
  'idle-groups': idleGroups,
  memory,
  retention,
  rebalance,
  partitioner,
  'cold-start': coldStart,
  size,
  interceptors,
  streams,
  'streams-driver': streamsDriver,
  'streams-state': streamsState,
  scale,
}
