// What must be true of a run, by counts that do not depend on each other.
import type { Outcome } from './job.js'
import { count, counted } from './table.js'

export interface Claim {
  readonly claim: string
  readonly holds: boolean
}

/** What one group has read. */
export interface Reading {
  readonly id: string
  /** Different records. */
  readonly distinct: number
  readonly twice: number
  readonly missing: number
  readonly outOfOrder: number
  readonly lag: number
}

export interface Proof {
  readonly readings: readonly Reading[]
  readonly claims: readonly Claim[]
  readonly holds: boolean
}

export function prove(outcome: Outcome): Proof {
  const { sessions, traffic, errors, lines, published, lags } = outcome
  const readings = [sessions, traffic, errors].map(({ group, witness }) => ({
    id: group.id,
    distinct: witness.distinct,
    twice: witness.twice,
    missing: witness.missing,
    outOfOrder: witness.outOfOrder,
    lag: lags.get(group.id)!,
  }))
  const missing = sum(readings.map(reading => reading.missing))
  const consumed = readings.map(({ id, distinct }) => `${count(distinct)} by ${id}`).join(', ')
  const claims = [
    {
      claim: `published: ${counted(published, 'record')}, of ${counted(lines, 'line')}`,
      holds: published === lines,
    },
    {
      claim: `consumed: ${consumed}, ${count(missing)} missing`,
      holds: missing === 0 && readings.every(({ distinct }) => distinct === published),
    },
    {
      claim: 'in order: no group has seen a request of a visitor after a later one',
      holds: readings.every(({ outOfOrder }) => outOfOrder === 0),
    },
    { claim: 'finished: no group lags behind', holds: readings.every(({ lag }) => lag === 0) },
    crashClaim(outcome),
    countedOnceClaim(outcome),
    deadLetterClaim(outcome),
  ]
  return { readings, claims, holds: claims.every(({ holds }) => holds) }
}

function crashClaim({ sessions: { crash, witness }, traffic, errors }: Outcome): Claim {
  const unsaved = counted(crash?.unsaved ?? 0, 'record')
  const rereaders = [...witness.again].map(([member, times]) => `${count(times)} by ${member}`).join(', ')
  return {
    claim: `read twice: ${unsaved} that ${crash?.name} had not saved when it died (${rereaders})`,
    holds: witness.twice === crash?.unsaved && traffic.witness.twice === 0 && errors.witness.twice === 0,
  }
}

/** Two groups that know nothing of each other agree, although one of them has read some records twice. */
function countedOnceClaim({ sessions, traffic: { hours, unparseable }, lines }: Outcome): Claim {
  const inSessions = sum(sessions.store.visitors.map(({ requests }) => requests))
  const inHours = sum([...hours.values()].map(({ requests }) => requests))
  const requests = counted(inSessions, 'request')
  return {
    claim: `counted once: ${requests} in sessions, ${count(inHours)} in hours, ${count(unparseable)} unparseable`,
    holds: inSessions === inHours && inHours + unparseable === lines,
  }
}

function deadLetterClaim({ traffic: { failures, unparseable }, deadLetters }: Outcome): Claim {
  const failed = sum([...failures].map(([status, { requests }]) => (status >= 500 ? requests : 0)))
  const reasons = `${count(unparseable)} unparseable and ${count(failed)} answered with 5xx`
  return {
    claim: `dead letters: ${count(deadLetters.length)}, for ${reasons}`,
    holds: deadLetters.length === unparseable + failed,
  }
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, n) => total + n, 0)
