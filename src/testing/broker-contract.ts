import { commits } from './contract/commits.js'
import { crashes } from './contract/crashes.js'
import type { ContractEngine } from './contract/engine.js'
import { failures } from './contract/failures.js'
import { groups } from './contract/groups.js'
import { handlers } from './contract/handlers.js'
import { listeners } from './contract/listeners.js'
import { polling } from './contract/polling.js'
import { positions } from './contract/positions.js'
import { progress } from './contract/progress.js'
import { publishing } from './contract/publishing.js'
import { tails } from './contract/tails.js'
import { topics } from './contract/topics.js'
import { tryOn } from './contract/world.js'
import { defineContract, type Runner, refuse } from './runner.js'

/**
 * Defines, with the runner's own functions (vitest, jest, node:test), the tests that every engine of the portable API
 * must pass: what portable code may count on in memory as on a cluster.
 *
 * Nothing sleeps: conditions are awaited, with the engine's patience by the broker's clock, and a manual clock is moved.
 * Tests about killed processes pass without a try where `open()` gives no `crash`.
 */
export function brokerContract(runner: Runner, engine: ContractEngine): void {
  checkEngine(engine)
  const promises = {
    ...publishing,
    ...topics,
    ...tails,
    ...groups,
    ...progress,
    ...polling,
    ...commits,
    ...positions,
    ...handlers,
    ...failures,
    ...listeners,
    ...crashes,
  }
  const claims = Object.fromEntries(
    Object.entries(promises).map(([title, promised]) => [title, () => tryOn(engine, promised)]),
  )
  defineContract(runner, `broker ${engine.name}`, claims, { exceptions: engine.exceptions })
}

function checkEngine(engine: Partial<ContractEngine> | null | undefined): void {
  if (typeof engine !== 'object' || engine === null) refuse('engine', engine, 'an engine to try')
  const { name, open, patienceMs } = engine
  if (typeof name !== 'string' || name === '') refuse('engine.name', name, 'a text that is not empty')
  if (typeof open !== 'function') refuse('engine.open', open, 'a function that gives a broker')
  if (patienceMs !== undefined && (!Number.isSafeInteger(patienceMs) || patienceMs < 1))
    refuse('engine.patienceMs', patienceMs, 'a whole number of milliseconds of at least 1')
}
