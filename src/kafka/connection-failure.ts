import { MillraceError } from '../index.js'
import { type About, ClusterError, errorOf } from './errors.js'
import { type Address, answeredErrors, kindOf, type Security } from './platformatic.js'

/** Why a connection could not be opened, as users are told, with what they may have to change. */
export function openingFailure(error: unknown, about: About, to: Address, security: Security): unknown {
  if (error instanceof MillraceError) return error
  if (kindOf(error) === 'authentication') return refusal(error, security)
  return networkError(about.what, to, error, !isRefusedByTls(error), openingReason(error, security))
}

/** Credentials that are refused stay so; what makes them may do better next time. */
function refusal(cause: unknown, { sasl }: Security): MillraceError {
  const own = systemErrorOf(cause)
  if (own instanceof MillraceError) return own
  const details = { mechanism: sasl?.mechanism ?? 'SASL' }
  const reason = own === undefined ? saslReason(cause) : `its token could not be had: ${own.message}`
  const options = { cause, reason, retriable: own !== undefined }
  return new ClusterError('SASL_AUTHENTICATION_FAILED', 'SASL_AUTHENTICATION_FAILED', details, options)
}

/** What became of a request. `first`: no broker has answered any yet. */
export function requestFailure(
  error: unknown,
  about: About,
  to: Address,
  { timeoutMs, first: isFirst, sasl }: { timeoutMs: number; first: boolean } & Pick<Security, 'sasl'>,
): unknown {
  if (error instanceof MillraceError) return error
  const first = answeredErrors(error)?.codes[0]
  if (first !== undefined) return errorOf(first.code, { timeoutMs, ...about }, first.message, error)
  if (kindOf(error) === 'network') {
    const reason = isFirst && sasl === undefined ? hungUp('authentication') : undefined
    return networkError(about.what, to, error, true, reason)
  }
  const details = { error: `${about.what}: ${String(error)}` }
  return new ClusterError('UNKNOWN_SERVER_ERROR', 'UNKNOWN_SERVER_ERROR', details, { cause: error })
}

function networkError(
  what: string,
  { host, port }: Address,
  cause: unknown,
  retriable: boolean,
  reason: string | undefined,
): ClusterError {
  const details = { what, address: `${host}:${port}` }
  return new ClusterError('NETWORK_EXCEPTION', 'NETWORK_EXCEPTION', details, { cause, retriable, reason })
}

const hungUp = (wanted: string): string => `it hung up; where it does so each time, it may want ${wanted}`

function openingReason(error: unknown, { tls, sasl }: Security): string {
  const system = systemErrorOf(error)
  const code = String(system?.code)
  const encrypted = tls !== undefined && tls !== false
  if (system === undefined && / timed out/.test(String(error))) return 'it took too long'
  if (encrypted && (system === undefined || brokenHandshake.test(code)))
    return 'it broke off the TLS handshake; where it does so each time, it may not speak TLS at this port'
  if (system === undefined) return hungUp(sasl === undefined ? 'TLS, or authentication' : 'TLS')
  return system.message || code
}
const brokenHandshake = /^(ECONNRESET|EPROTO|ERR_SSL_WRONG_VERSION_NUMBER)$/

/** The first error that is not the client's own: the system's, TLS's, or that of who makes tokens. */
function systemErrorOf(error: unknown): (Error & { readonly code?: unknown }) | undefined {
  for (const cause of causesOf(error))
    if (cause instanceof Error && !String((cause as { code?: unknown }).code).startsWith('PLT_KFK_')) return cause
  return undefined
}

/** What TLS refuses stays so; that the other side hangs up may pass. Kafka: SslAuthenticationException. */
function isRefusedByTls(error: unknown): boolean {
  return /CERT|^ERR_(TLS|SSL)/.test(String(systemErrorOf(error)?.code))
}

/** Kafka: SaslHandshakeResponse. */
function saslReason(error: unknown): string | undefined {
  for (const cause of causesOf(error)) {
    const answer = answeredErrors(cause)
    const { code, message } = answer?.codes[0] ?? {}
    if (code === illegalSaslState) return 'it wants no authentication at this port'
    if (code === unsupportedSaslMechanism) {
      const { mechanisms = [] } = (answer!.response ?? {}) as { mechanisms?: readonly string[] }
      return `it knows ${mechanisms.join(', ') || 'no such mechanism'}`
    }
    if (message) return message
  }
  return undefined
}
const unsupportedSaslMechanism = 33
const illegalSaslState = 34

function* causesOf(error: unknown): Iterable<object> {
  for (let cause = error; typeof cause === 'object' && cause !== null; cause = (cause as { cause?: unknown }).cause)
    yield cause
}
