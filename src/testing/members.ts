import { MillraceError } from '../index.js'

/** Of a member, from its joining on. */
export interface Life {
  dead: boolean
}

/** Who is a member of what, of which process it is, and whose code is running. */
export class Members {
  /** The process of each member, by group and member id; undefined for one of the test itself. */
  readonly #processes = new Map<string, string | undefined>()
  /** Members, by group and member id: in it, as history has it, or expelled, and about to come (back). */
  readonly #members = new Map<string, 'in' | 'away'>()
  /** What has been joined and not left, by group and member id; another of that id may come after one that has died. */
  readonly #lives = new Map<string, Life>()
  /** Whose code is on the stack. */
  #running: string | undefined
  /** The process that is being killed. */
  #dying: string | undefined
  /** The service that is being started. */
  #starting: string | undefined

  /** The process whose code is running; undefined for the test's own. */
  get running(): string | undefined {
    return this.#running
  }
  /** Runs a call of a process: what is made in it belongs to it. */
  as<T>(process: string | undefined, call: () => T): T {
    const before = this.#running
    this.#running = process
    try {
      return call()
    } finally {
      this.#running = before
    }
  }
  /** Starts a service, which is to live by the broker that it is given: what it made through another would not die with it. */
  start<T>(process: string, call: () => T): T {
    this.#starting = process
    try {
      return call()
    } finally {
      this.#starting = undefined
    }
  }
  checkJoins(): void {
    if (this.#starting === undefined || this.#running !== undefined) return
    throw new MillraceError('INVALID_CONFIG', {
      option: `The broker of service ${this.#starting}`,
      value: 'world.broker, which is that of the outside',
      expected: 'the one that it is started with',
    })
  }
  /** Kills a process: of its consumers none takes over from another. */
  kill(process: string, act: () => void): void {
    this.#dying = process
    try {
      act()
    } finally {
      this.#dying = undefined
    }
  }
  isDying(group: string, memberId: string | undefined): boolean {
    return this.#dying !== undefined && this.processOf(group, memberId) === this.#dying
  }

  /** A member is of a process, whatever code is on the stack when the group hears of it. */
  belongs(group: string, memberId: string, process: string): void {
    const id = `${group}/${memberId}`
    this.#processes.set(id, process)
    if (!this.#members.has(id)) this.#members.set(id, 'away')
  }
  processOf(group: string | undefined, memberId: string | undefined): string | undefined {
    if (group === undefined) return this.#running
    const id = `${group}/${memberId}`
    return this.#processes.get(id) ?? (this.#processes.has(id) ? undefined : this.#running)
  }

  /** Whether that is new. Partitions are assigned inside the call that joins, before the group tells of the member. */
  joined(group: string, memberId: string): boolean {
    const id = `${group}/${memberId}`
    const known = this.#members.get(id)
    if (known === 'in') return false
    // A member that comes back does so in whatever happens to run.
    if (known === undefined) this.#processes.set(id, this.#running)
    this.#members.set(id, 'in')
    return true
  }
  left(group: string, memberId: string, expelled: boolean): void {
    const id = `${group}/${memberId}`
    if (expelled) {
      this.#members.set(id, 'away')
      return
    }
    this.#members.delete(id)
    this.#lives.delete(id)
  }

  lifeOf(group: string, memberId: string): Life {
    const id = `${group}/${memberId}`
    let life = this.#lives.get(id)
    if (life === undefined) {
      life = { dead: false }
      this.#lives.set(id, life)
    }
    return life
  }
  /** Whether it is that member's latest. */
  isLatest(group: string, memberId: string, life: Life): boolean {
    return this.#lives.get(`${group}/${memberId}`) === life
  }
}
