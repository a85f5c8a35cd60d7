import type { Source, Waiter } from '../engine.js'
import type { AnyRecord, StartFrom } from '../index.js'
import type { Feed } from './feed.js'

/** Where a source's questions go. */
export interface Questions<R extends AnyRecord> {
  /** To be answered by `source.answer()`, later. */
  ask(source: ClusterSource<R>, to: Question): void
}
export type Question = Exclude<StartFrom, number> | 'committed'
export type Answer = { readonly offset: number } | { readonly error: unknown }

/** A partition as its owner reads it for one term: what is fetched of it, and where its group stands. */
export class ClusterSource<R extends AnyRecord> implements Source<R> {
  readonly topic: string
  readonly partition: number
  readonly topicId: string
  /** It came while the group had members: under 'latest' too it is read from its start (groups.md 24). */
  readonly isNew: boolean
  committed: number | undefined
  /** Where its group has begun under 'latest', as far as is known here. */
  begun: number | undefined
  readonly #feed: Feed<R>
  readonly #questions: Questions<R>
  #asked: { readonly question: string; answer?: Answer } | undefined
  #waiter: Waiter | undefined

  constructor(feed: Feed<R>, questions: Questions<R>, isNew: boolean) {
    this.topic = feed.topic
    this.partition = feed.partition
    this.topicId = feed.topicId
    this.isNew = isNew
    this.#feed = feed
    this.#questions = questions
  }

  get endOffset(): number {
    return this.#feed.endOffset
  }
  read(offset: number, maxRecords: number, into: R[]): number {
    // Who reads knows where: what was asked before has no meaning any more.
    this.#asked = undefined
    return this.#feed.read(offset, maxRecords, into)
  }
  raw(offset: number): R {
    return this.#feed.raw(offset)
  }
  whenMore(waiter: Waiter): void {
    this.#waiter = waiter
    this.#feed.whenMore(this)
  }
  forget(): void {
    this.#waiter = undefined
    this.#feed.forget()
  }
  available(): void {
    const waiter = this.#waiter
    this.#waiter = undefined
    waiter?.available()
  }
  pause(paused: boolean): void {
    this.#feed.paused = paused
  }

  resolve(to: StartFrom | 'committed'): number | undefined {
    if (typeof to === 'number') return to
    if (to === 'committed' && this.committed !== undefined) return this.committed
    const question = typeof to === 'string' ? to : `at ${to.timestamp}`
    if (this.#asked?.question !== question) {
      this.#asked = { question }
      this.#questions.ask(this, to)
    }
    const { answer } = this.#asked
    if (answer === undefined) return undefined
    this.#asked = undefined
    if ('error' in answer) throw answer.error
    return answer.offset
  }
  /** A question of it has not been answered yet. */
  get asking(): boolean {
    return this.#asked !== undefined && this.#asked.answer === undefined
  }
  answer(to: Question, answer: Answer): void {
    const question = typeof to === 'string' ? to : `at ${to.timestamp}`
    if (this.#asked?.question !== question) return
    this.#asked.answer = answer
    this.#feed.forget()
    this.available()
  }

  close(): void {
    this.#waiter = undefined
    this.#feed.close()
  }
}
