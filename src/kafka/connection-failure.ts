import { MillraceError } from '../index.js'
import { type About, ClusterError, errorOf } from './errors.js'
import { type Address, answeredErrors, kindOf, type Security } from './platformatic.js'

/** Why a connection could not be opened, as users are told, with what they may have to change. */
export function openingFailure(error: unknown, about: About, to: Address, security: Security): unknown {
  if (error instanceof MillraceError) return error
  if (kindOf(error) === 'authentication') {
    const details = { mechanism: security.sasl?.mechanism ?? 'SASL' }
    const options = { cause: error, reason: saslReason(error) }
    return new ClusterError('SASL_AUTHENTICATION_FAILED', 'SASL_AUTHENTICATION_FAILED', details, options)
  }
  return networkError(about.what, to, error, !isRefusedByTls(error), openingReason(error, security))
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
  const encrypted = tls !== undefined && tls !== false
  if (encrypted && (system === undefined || brokenHandshake.test(system.code)))
    return 'it broke off the TLS handshake; where it does so each time, it may not speak TLS at this port'
  if (system === undefined) return hungUp(sasl === undefined ? 'TLS, or authentication' : 'TLS')
  return system.message || system.code
}
const brokenHandshake = /^(ECONNRESET|EPROTO|ERR_SSL_WRONG_VERSION_NUMBER)$/

/** The innermost error that is the system's or TLS's, not the client's. */
function systemErrorOf(error: unknown): { readonly code: string; readonly message: string } | undefined {
  let found: { code: string; message: string } | undefined
  for (const cause of causesOf(error)) {
    const { code, message } = cause as { code?: unknown; message?: unknown }
    if (typeof code === 'string' && !code.startsWith('PLT_KFK_')) found = { code, message: String(message ?? '') }
  }
  return found
}

/** What TLS refuses stays so; that the other side hangs up may pass. Kafka: SslAuthenticationException. */
function isRefusedByTls(error: unknown): boolean {
  return /CERT|^ERR_(TLS|SSL)/.test(systemErrorOf(error)?.code ?? '')
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
