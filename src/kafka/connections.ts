import { MillraceError } from '../index.js'
import { openingFailure, requestFailure } from './connection-failure.js'
import { type About, ClusterError } from './errors.js'
import {
  type Address,
  type Api,
  abandon,
  answeredErrors,
  type Connection,
  connect,
  type Kafka,
  loadKafka,
  type Security,
} from './platformatic.js'

export interface ConnectionsOptions extends Security {
  readonly clientId: string
  readonly requestTimeoutMs: number
}

/**
 * Brokers answer the requests of one connection in order: what may take long goes by a lane of its own. Kafka's client
 * too keeps one connection for the coordinator apart.
 */
export type Lane = 'main' | 'produce' | 'group' | `fetch-${string}`

export interface Sent<Args extends unknown[], Answer> {
  readonly api: (kafka: Kafka) => Api<Args, Answer>
  readonly args: Args
  readonly about: About
  readonly timeoutMs: number
  readonly lane: Lane
  /** Gives an answer that has error codes in it, for who looks at each. */
  readonly partial?: boolean | undefined
}

/** A connection, and what the broker at its other end can do. */
interface Line {
  readonly connection: Connection
  /** The versions of each request that it knows, by API key. */
  readonly versions: ReadonlyMap<number, { readonly minVersion: number; readonly maxVersion: number }>
  /** Requests that wait for their answers. */
  waiting: number
  /** Another has taken its place: it ends when nothing waits any more. */
  retired: boolean
}

/** Kafka: socket.connection.setup.timeout.ms */
const longestConnectMs = 10_000
/** Beyond what a timer can do, so that ours, which closes the connection too, is first. */
const never = 2 ** 31 - 1

/** Connections to brokers by address and lane, each opened when first used and again when it was lost. */
export class Connections {
  readonly #options: ConnectionsOptions
  readonly #lines = new Map<string, Promise<Line>>()
  /** Also those that are not ready yet: closing leaves none behind. */
  readonly #connections = new Set<Connection>()
  /** Some broker has answered a request. */
  #answered = false
  #closed = false

  constructor(options: ConnectionsOptions) {
    this.#options = options
  }

  /** One request and its answer, tried once. NETWORK_EXCEPTION with the address, REQUEST_TIMED_OUT, or what the answer says. */
  async send<Args extends unknown[], Answer>(to: Address, request: Sent<Args, Answer>): Promise<Answer> {
    const { about, timeoutMs } = request
    const kafka = await loadKafka()
    const line = await this.#line(kafka, to, request.lane, about)
    const api = request.api(kafka)
    const range = line.versions.get(api.key)
    if (range === undefined || range.minVersion > api.version || range.maxVersion < api.version)
      throw unsupported(about.what, kafka, api)
    line.waiting++
    try {
      const answer = await this.#answer(line.connection, api, request.args, about.what, timeoutMs)
      this.#answered = true
      return answer
    } catch (error) {
      const answered = answeredErrors(error)
      if (request.partial === true && answered?.response !== undefined) return answered.response as Answer
      throw requestFailure(error, about, to, { timeoutMs, first: !this.#answered, sasl: this.#options.sasl })
    } finally {
      line.waiting--
      this.#endRetired(line)
    }
  }
  #endRetired({ connection, waiting, retired }: Line): void {
    if (retired && waiting === 0) void this.#abandon(connection)
  }

  #answer<Args extends unknown[], Answer>(
    connection: Connection,
    api: Api<Args, Answer>,
    args: Args,
    what: string,
    timeoutMs: number,
  ): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        // Later answers would be taken for those of other requests.
        void this.#abandon(connection)
        reject(new ClusterError('REQUEST_TIMED_OUT', 'REQUEST_TIMED_OUT', { what, timeoutMs }, { retriable: true }))
      }, timeoutMs)
      const settle = (error: unknown, answer?: Answer): void => {
        clearTimeout(timer)
        if (error === null || error === undefined) resolve(answer as Answer)
        else reject(error)
      }
      try {
        api(connection, ...args, settle as never)
      } catch (error) {
        settle(error)
      }
    })
  }

  #line(kafka: Kafka, to: Address, lane: Lane, about: About): Promise<Line> {
    if (this.#closed) throw new MillraceError('CLOSED', { what: 'This broker' })
    const name = `${to.host}:${to.port} ${lane}`
    const known = this.#lines.get(name)
    if (known !== undefined) return known
    const lost = (): void => {
      if (this.#lines.get(name) === opening) this.#lines.delete(name)
    }
    const expiring = (): void => {
      lost()
      const retire = (line: Line): void => {
        line.retired = true
        this.#endRetired(line)
      }
      opening.then(retire, () => {})
    }
    const opening = this.#open(kafka, to, about, lost, expiring)
    this.#lines.set(name, opening)
    return opening
  }

  async #open(kafka: Kafka, to: Address, about: About, lost: () => void, expiring: () => void): Promise<Line> {
    const connectTimeoutMs = Math.min(longestConnectMs, this.#options.requestTimeoutMs)
    let connection: Connection | undefined
    try {
      const options = { ...this.#options, connectTimeoutMs, requestTimeoutMs: never }
      connection = await connect(kafka, to, options, {
        begun: begun => this.#connections.add(begun),
        expiring,
      })
      const own = connection
      connection.on('close', () => {
        this.#connections.delete(own)
        lost()
      })
      if (this.#closed) throw new MillraceError('CLOSED', { what: 'This broker' })
      const what = `Asking ${to.host}:${to.port} what it can do`
      const answer = await this.#answer(
        connection,
        kafka.apiVersionsV3.api,
        ['millrace', '1'],
        what,
        this.#options.requestTimeoutMs,
      )
      const versions = new Map(answer.apiKeys.map(entry => [entry.apiKey, entry]))
      return { connection, versions, waiting: 0, retired: false }
    } catch (error) {
      lost()
      if (connection !== undefined) await this.#abandon(connection)
      throw openingFailure(error, about, to, this.#options)
    }
  }

  /** The connections of one lane are closed at once, and what waits for answers there fails. */
  endLane(lane: Lane): void {
    for (const [name, line] of [...this.#lines]) {
      if (!name.endsWith(` ${lane}`)) continue
      this.#lines.delete(name)
      line.then(
        ({ connection }) => this.#abandon(connection),
        () => {},
      )
    }
  }

  async #abandon(connection: Connection): Promise<void> {
    await abandon(connection)
    this.#connections.delete(connection)
  }

  /** Every socket is gone when it resolves. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all([...this.#connections].map(connection => this.#abandon(connection)))
    await Promise.allSettled(this.#lines.values())
  }
}

function unsupported(what: string, kafka: Kafka, api: { key: number; version: number }): ClusterError {
  const name = (kafka.protocolAPIsById as Record<number, string>)[api.key] ?? `API ${api.key}`
  const needed = `Apache Kafka 4.0 or later, which knows ${name} version ${api.version}`
  return new ClusterError('UNSUPPORTED_VERSION', 'UNSUPPORTED_VERSION', { what, needed })
}
