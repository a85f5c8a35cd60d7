// The one door to @platformatic/kafka, an optional peer dependency: its connections (sockets, TLS, SASL), codecs,
// compression and CRC. Not its clients.
import { isIP } from 'node:net'
import type * as Client from '@platformatic/kafka'
import { MillraceError } from '../index.js'

/** The package as it is loaded. */
export type Kafka = typeof Client
export type Connection = Client.Connection
export type Reader = Client.Reader
export type Writer = Client.Writer
/** A request in one version of the protocol: how it is written and how its answer is read. */
export type Api<Args extends unknown[], Answer> = Client.API<Args, Answer>
export type Compression = 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'

export interface Address {
  readonly host: string
  readonly port: number
}
export interface Security {
  readonly tls: boolean | object | undefined
  readonly sasl:
    | {
        mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512' | 'OAUTHBEARER'
        username?: string | undefined
        password?: string | undefined
        token?: string | (() => string | Promise<string>) | undefined
      }
    | undefined
}

let loading: Promise<Kafka> | undefined
/** UNSUPPORTED_VERSION that says what to install where the package is not there. */
export function loadKafka(): Promise<Kafka> {
  loading ??= import('@platformatic/kafka').catch((cause: unknown) => {
    loading = undefined
    const needed =
      'the package @platformatic/kafka, 1.35 or later: npm install @platformatic/kafka@1 (or @2 on Node 22)'
    throw new MillraceError('UNSUPPORTED_VERSION', { what: 'millrace/kafka', needed }, { cause })
  })
  return loading
}

/** Requests that may wait for their answers on one connection; more of them wait for their turn. Kafka: max.in.flight.requests.per.connection. */
const inFlight = 64

/** What is told of a connection. */
interface ConnectionEvents {
  /** It is there, though not ready yet: it can be abandoned. */
  begun?(connection: Connection): void
  /** Its session is nearly over: a broker hangs up on what is sent later. KIP-368. */
  expiring?(): void
}

/** A connection that is ready for requests: encrypted and authenticated, where that is asked for. */
export async function connect(
  kafka: Kafka,
  { host, port }: Address,
  options: Security & { clientId: string; connectTimeoutMs: number; requestTimeoutMs: number },
  events: ConnectionEvents = {},
): Promise<Connection> {
  const { tls, sasl, clientId, connectTimeoutMs, requestTimeoutMs } = options
  const secure = tls === undefined || tls === false ? undefined : tls === true ? {} : tls
  const named = (secure as { servername?: unknown } | undefined)?.servername !== undefined
  const connection = new kafka.Connection(clientId, {
    connectTimeout: connectTimeoutMs,
    requestTimeout: requestTimeoutMs,
    maxInflights: inFlight,
    ...(secure === undefined ? {} : { tls: secure }),
    ...(secure === undefined || named || isIP(host) !== 0 ? {} : { tlsServerName: true }),
    ...(sasl === undefined ? {} : { sasl: credentialsOf(sasl) }),
  })
  // Whoever waits for an answer is told by it; an error event that nobody hears would end the process.
  connection.on('error', () => {})
  // The client would authenticate anew between other requests, which a broker refuses meanwhile.
  connection.reauthenticate = () => events.expiring?.()
  try {
    const ready = connection.connect(host, port)
    events.begun?.(connection)
    await ready
    return connection
  } catch (error) {
    await abandon(connection)
    throw error
  }
}

/** Closes at once, also where the other side does not answer any more; resolves when the socket is gone. */
export function abandon(connection: Connection): Promise<void> {
  // It has no socket before it was first told to connect.
  const socket = connection.socket as Client.Connection['socket'] | undefined
  const gone = new Promise<void>(resolve => {
    if (socket === undefined || socket.closed) resolve()
    else socket.once('close', () => resolve())
  })
  void connection.close().catch(() => {})
  socket?.destroy()
  return gone
}

function credentialsOf({ token, ...others }: NonNullable<Security['sasl']>): Client.SASLOptions {
  const given = { ...others, token: typeof token === 'function' ? () => tokenOf(token) : token }
  const present = Object.entries(given).filter(([, value]) => value !== undefined)
  return Object.fromEntries(present) as unknown as Client.SASLOptions
}
async function tokenOf(token: () => string | Promise<string>): Promise<string> {
  const given: unknown = await token()
  if (typeof given === 'string' && given !== '') return given
  const value = typeof given === 'string' ? given : typeof given
  throw new MillraceError('INVALID_CONFIG', { option: 'sasl.token', value, expected: 'a function that gives a text' })
}

/** The codes and texts in an answer that is an error, and the answer itself where it could be read. */
export function answeredErrors(
  error: unknown,
): { readonly codes: readonly { code: number; message: string | null }[]; readonly response: unknown } | undefined {
  const { code, errors, response } = (error ?? {}) as { code?: unknown; errors?: unknown; response?: unknown }
  if (code !== 'PLT_KFK_RESPONSE' || !Array.isArray(errors)) return undefined
  const codes = errors.map(entry => {
    const { apiCode, serverErrorMessage } = entry as { apiCode: number; serverErrorMessage?: string | null }
    return { code: apiCode, message: serverErrorMessage ?? null }
  })
  return { codes, response }
}

/**
 * What a failure without an answer was: the credentials, the connection, or neither. The last cause that tells decides:
 * a connection that is lost while it authenticates says nothing about the credentials.
 */
export function kindOf(error: unknown): 'authentication' | 'network' | undefined {
  let kind: 'authentication' | 'network' | undefined
  for (let cause: unknown = error; typeof cause === 'object' && cause !== null; ) {
    const {
      code,
      errors,
      cause: next,
    } = cause as { code?: unknown; errors?: readonly { apiId?: string }[]; cause?: unknown }
    if (code === 'PLT_KFK_AUTHENTICATION') kind = 'authentication'
    // Its code is also that of a time limit; users' errors are those of TLS.
    if (code === 'PLT_KFK_NETWORK' || code === 'PLT_KFK_USER') kind = 'network'
    if (code === 'PLT_KFK_UNEXPECTED_CORRELATION_ID') kind = 'network'
    if (code === 'PLT_KFK_RESPONSE' && errors?.some(({ apiId }) => apiId?.includes('SASL'))) return 'authentication'
    cause = next
  }
  return kind
}
