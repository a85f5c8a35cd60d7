// A visitor's sessions, folded request by request: half an hour of silence ends one.
import type { WebRequest } from './log-line.js'

export interface Session {
  readonly start: number
  readonly end: number
  readonly requests: number
}

export interface Visitor {
  readonly address: string
  readonly requests: number
  readonly sessions: number
  readonly current: Session
  readonly longest: Session
}

const silenceMs = 30 * 60_000

/** A new Visitor, the old one unchanged: what is thrown away half-way leaves no trace. */
export function visit(visitor: Visitor | undefined, { address, time }: WebRequest): Visitor {
  const goesOn = visitor !== undefined && time - visitor.current.end < silenceMs
  // A server logs a request when it is answered, so one may be a few seconds older than the one before it.
  const current = goesOn
    ? {
        start: Math.min(visitor.current.start, time),
        end: Math.max(visitor.current.end, time),
        requests: visitor.current.requests + 1,
      }
    : { start: time, end: time, requests: 1 }
  return {
    address,
    requests: (visitor?.requests ?? 0) + 1,
    sessions: (visitor?.sessions ?? 0) + (goesOn ? 0 : 1),
    current,
    longest: visitor === undefined || byLength(current, visitor.longest) <= 0 ? current : visitor.longest,
  }
}

/** Longest first; of equally long ones that with more requests. */
export const byLength = (a: Session, b: Session): number =>
  b.end - b.start - (a.end - a.start) || b.requests - a.requests
