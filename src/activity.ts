/** What a consumer is busy with, one at a time: a waiting poll() or step of an iterator, or run(). */
export interface Activity {
  /** How many handlers are at work: with none it has come back, and waits. */
  readonly atWork: number
  /** How many records wait for the time of their next attempt. */
  readonly waiting: number
  /** The start of what has not come back; undefined while it waits (groups.md 39). */
  readonly since: number | undefined
  /** Something may be handed out, or has changed. In a microtask of its own, never inside somebody else's call. */
  serve(): void
  /** Retries that would hold up a move, a close or a seek are called off (groups.md 44, 46, 26). */
  giveWay(): void
  /** It can't go on. */
  fail(error: unknown): void
  /** Nothing more will be handed out. */
  closing(): void
  /** The consumer has left, with these errors on the way; gives back those that it has not told its caller. */
  over(errors: readonly unknown[]): readonly unknown[]
}
