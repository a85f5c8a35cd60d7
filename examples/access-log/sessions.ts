// The group that rebuilds each visitor's sessions: three members, one of which dies at work.
import type { ConsumerGroup } from 'millrace'
import type { Member, Place } from './place.js'
import { SessionStore } from './session-store.js'
import { sessionsId, sessionsOptions } from './sessions-member.js'
import type { LogRecord } from './topics.js'
import { Witness } from './witness.js'

export interface Crash {
  readonly name: string
  /** Records it had read and not saved: what others have to read again. */
  readonly unsaved: number
}

export class SessionsGroup {
  readonly group: ConsumerGroup<LogRecord>
  readonly store: SessionStore = new SessionStore()
  readonly witness: Witness = new Witness()
  crash: Crash | undefined
  readonly #place: Place
  readonly #members = new Set<Member>()
  #crashIsDue: ((crash: Crash) => void) | undefined

  constructor(place: Place) {
    this.#place = place
    this.group = place.broker.group(sessionsId, sessionsOptions(place.names))
  }

  get size(): number {
    return this.#members.size
  }
  /** Who has which partitions. */
  get owners(): string {
    return [...this.#members].map(({ name, owned }) => `${name} has ${owned.join(' ')}`).join(', ')
  }

  addMember(): Member {
    let unsaved = 0
    const member = this.#place.startMember({
      nextOffset: partition => this.store.nextOffset(partition),
      visitors: addresses => addresses.flatMap(address => this.store.visitor(address) ?? []),
      saw: (record, done, of) => {
        this.witness.saw(member.name, record)
        unsaved += 1
        if (this.#crashIsDue !== undefined && done >= of / 2) this.#kill(member, unsaved)
      },
      save: (batch, visitors) => {
        this.store.save(batch, visitors)
        unsaved = 0
      },
    })
    this.#members.add(member)
    return member
  }

  /** Whoever has half of its next batch done is killed. */
  crashOnce(): Promise<Crash> {
    return new Promise(resolve => {
      this.#crashIsDue = resolve
    })
  }

  #kill(member: Member, unsaved: number): void {
    this.crash = { name: member.name, unsaved }
    this.#members.delete(member)
    member.kill()
    this.#crashIsDue?.(this.crash)
    this.#crashIsDue = undefined
  }
}
