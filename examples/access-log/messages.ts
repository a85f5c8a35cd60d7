// What a member in a process of its own and the job tell each other.
import type { Visitor } from './session.js'
import type { Seen } from './sessions-member.js'

/** What a member asks for, and waits for. */
export type Question =
  | { readonly nextOffset: number }
  | { readonly visitors: readonly string[] }
  | { readonly save: readonly Seen[]; readonly visitors: readonly Visitor[] }

export type FromMember =
  | { readonly id: number; readonly ask: Question }
  | { readonly saw: Seen; readonly done: number; readonly of: number }
  | { readonly owns: readonly number[] }
  | { readonly ready: true }

export type ToMember =
  | { readonly id: number; readonly answer: unknown }
  | { readonly id: number; readonly refusal: string }
  /** Finish, and leave. */
  | { readonly close: true }
