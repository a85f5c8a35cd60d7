// A cluster that wants TLS and credentials: each mechanism goes well, and badly.
import { execFileSync } from 'node:child_process'
import { pbkdf2Sync, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type KafkaBroker, type KafkaBrokerOptions, kafkaBroker } from 'millrace/kafka'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { connect, loadKafka } from '../../src/kafka/platformatic.js'
import { type Node, startNode } from './cluster.js'
import { type AnyTopics, all, failure, fresh } from './support.js'

let node: Node
let folder: string
/** The cluster's own certificate, which it has signed itself. */
let ca: string
const plain = { mechanism: 'PLAIN', username: 'alice', password: 'open sesame' } as const

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'millrace-tls-'))
  const keys = join(folder, 'keys.p12')
  const keytool = (...args: string[]): string =>
    execFileSync('keytool', [...args, '-keystore', keys, '-storepass', 'changeit'], { encoding: 'utf8', stdio: 'pipe' })
  const names = 'SAN=ip:127.0.0.1,dns:localhost'
  keytool('-genkeypair', '-alias', 'kafka', '-keyalg', 'EC', '-dname', 'CN=localhost', '-ext', names)
  ca = keytool('-exportcert', '-alias', 'kafka', '-rfc')
  const stores = ['keystore', 'truststore'].flatMap(store => [
    `ssl.${store}.location=${keys}`,
    `ssl.${store}.type=PKCS12`,
    `ssl.${store}.password=changeit`,
  ])
  const login = 'org.apache.kafka.common.security'
  node = await startNode([
    'listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:SASL_SSL',
    ...stores,
    'sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER',
    'sasl.mechanism.inter.broker.protocol=PLAIN',
    'authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'super.users=User:ANONYMOUS;User:admin;User:alice;User:bob',
    `listener.name.plaintext.plain.sasl.jaas.config=${login}.plain.PlainLoginModule required username="admin" password="secret" user_admin="secret" user_alice="open sesame" user_carol="knock knock";`,
    `listener.name.plaintext.scram-sha-256.sasl.jaas.config=${login}.scram.ScramLoginModule required;`,
    `listener.name.plaintext.scram-sha-512.sasl.jaas.config=${login}.scram.ScramLoginModule required;`,
    `listener.name.plaintext.oauthbearer.sasl.jaas.config=${login}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="admin";`,
  ])
}, 60_000)
afterAll(async () => {
  await node?.remove()
  await rm(folder, { recursive: true })
})

/** Gives a user a password to authenticate with by SCRAM. Kafka: AlterUserScramCredentials. */
async function addScramUser(name: string, password: string, bits: 256 | 512): Promise<void> {
  const kafka = await loadKafka()
  const [host = '', port] = node.address.split(':')
  const connection = await connect(
    kafka,
    { host, port: Number(port) },
    {
      tls: { ca },
      sasl: { mechanism: 'PLAIN', username: 'admin', password: 'secret' },
      clientId: 'admin',
      connectTimeoutMs: 10_000,
      requestTimeoutMs: 10_000,
    },
  )
  const salt = randomBytes(16)
  const iterations = 4_096
  const saltedPassword = pbkdf2Sync(password, salt, iterations, bits / 8, `sha${bits}`)
  // Kafka: ScramMechanism
  const mechanism = bits === 256 ? 1 : 2
  const upsertion = { name, mechanism, iterations, salt, saltedPassword }
  await kafka.alterUserScramCredentialsV0.api.async(connection, [], [upsertion])
  await connection.close()
}

function broker(options: Partial<KafkaBrokerOptions<AnyTopics>>): KafkaBroker<AnyTopics> {
  return kafkaBroker<AnyTopics>({ bootstrapBrokers: [node.address], requestTimeoutMs: 5_000, ...options })
}

/** There and back, by every kind of connection. */
async function worksWith(options: Partial<KafkaBrokerOptions<AnyTopics>>): Promise<void> {
  await using cluster = broker({ tls: { ca }, ...options })
  const orders = await cluster.createTopic(fresh('orders'))
  await orders.publish({ key: 'a', value: 1 })
  expect((await all(orders.read({ until: 'latest' }))).map(({ value }) => value)).toEqual([1])
  await using consumer = cluster.group(fresh('billing'), { topics: orders.name }).join()
  expect((await consumer.poll()).map(({ value }) => value)).toEqual([1])
}

/** An unsecured JWT, which Kafka's default validator for tests takes. */
function token(subject: string): string {
  const part = (content: object): string => Buffer.from(JSON.stringify(content)).toString('base64url')
  const now = Math.floor(Date.now() / 1_000)
  return `${part({ alg: 'none' })}.${part({ sub: subject, iat: now, exp: now + 3_600 })}.`
}

describe('credentials', () => {
  test('PLAIN', () => worksWith({ sasl: plain }))

  test.each([256, 512] as const)('SCRAM-SHA-%d', async bits => {
    await addScramUser('bob', 'open barley', bits)
    await worksWith({ sasl: { mechanism: `SCRAM-SHA-${bits}`, username: 'bob', password: 'open barley' } })
  })

  test('OAUTHBEARER, by a token and by what makes one', async () => {
    await worksWith({ sasl: { mechanism: 'OAUTHBEARER', token: token('alice') } })
    await worksWith({ sasl: { mechanism: 'OAUTHBEARER', token: async () => token('alice') } })
  })

  test.each([
    ['a wrong password', { ...plain, password: 'guess' }],
    ['a user that there is not', { mechanism: 'SCRAM-SHA-256', username: 'mallory', password: 'guess' }],
    ['a token that is none', { mechanism: 'OAUTHBEARER', token: 'guess' }],
  ] as const)('%s: SASL_AUTHENTICATION_FAILED, at once, from every call', async (_, sasl) => {
    const cluster = broker({ tls: { ca }, sasl, requestTimeoutMs: 30_000 })
    const started = Date.now()
    const calls: (() => unknown)[] = [
      () => cluster.ready(),
      () => cluster.topic('orders').publish({ value: 1 }),
      () => cluster.group('billing', { topics: 'orders' }).lag(),
    ]
    for (const error of await Promise.all(calls.map(failure)))
      expect(error).toMatchObject({
        code: 'SASL_AUTHENTICATION_FAILED',
        retriable: false,
        details: { mechanism: sasl.mechanism },
      })
    expect(Date.now() - started).toBeLessThan(10_000)
    await cluster.close()
  })

  test('none at all: told that nobody answers a stranger', async () => {
    await using cluster = broker({ tls: { ca }, requestTimeoutMs: 1_000 })
    const error = await failure(() => cluster.ready())
    expect(['NETWORK_EXCEPTION', 'REQUEST_TIMED_OUT', 'SASL_AUTHENTICATION_FAILED']).toContain(error.code)
  })
})

describe('rights', () => {
  const carol = { mechanism: 'PLAIN', username: 'carol', password: 'knock knock' } as const

  test('a topic that one may not see: TOPIC_AUTHORIZATION_FAILED with its name, and others are not in the way', async () => {
    const name = fresh('secret')
    await using owner = broker({ tls: { ca }, sasl: plain })
    await owner.createTopic(name)
    await using stranger = broker({ tls: { ca }, sasl: carol, topics: { [name]: {} } })
    const calls: (() => unknown)[] = [
      () => stranger.ready(),
      () => stranger.topic(name).publish({ value: 1 }),
      () => stranger.topic(name).publishAll([{ value: 1 }]),
      () => all(stranger.topic(name).read({ until: 'latest' })),
      () => stranger.group(fresh('billing'), { topics: name }).lag(),
      () => stranger.createTopic(fresh('orders')),
    ]
    for (const [i, error] of (await Promise.all(calls.map(failure))).entries()) {
      expect(error).toMatchObject({ code: 'TOPIC_AUTHORIZATION_FAILED', retriable: false })
      if (i < calls.length - 1) expect(error.details).toEqual({ topic: name })
    }
    expect(await all(owner.topic(name).read({ until: 'latest' }))).toEqual([])
  })
})

describe('TLS', () => {
  test('a certificate that nobody vouches for: NETWORK_EXCEPTION at once, not tried again', async () => {
    await using cluster = broker({ tls: true, sasl: plain })
    const error = await failure(() => cluster.ready())
    expect(error).toMatchObject({ code: 'NETWORK_EXCEPTION', retriable: false, details: { address: node.address } })
    expect(String(error.cause.cause ?? error.cause)).toMatch(/self-signed/)
  })

  test('no TLS where it is wanted: told within requestTimeoutMs', async () => {
    await using cluster = broker({ sasl: plain, requestTimeoutMs: 1_000 })
    const error = await failure(() => cluster.ready())
    expect(['NETWORK_EXCEPTION', 'REQUEST_TIMED_OUT']).toContain(error.code)
    expect(error.message).toContain(node.address)
  })
})
