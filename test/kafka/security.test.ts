// A cluster that wants TLS and credentials: each mechanism goes well, and badly.
import { execFileSync } from 'node:child_process'
import { pbkdf2Sync, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { type AddressInfo, createConnection, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Consumer, ConsumerRecord } from 'millrace'
import { type KafkaBroker, type KafkaBrokerOptions, kafkaBroker } from 'millrace/kafka'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { type Connection, connect, type Kafka, loadKafka } from '../../src/kafka/platformatic.js'
import { type Node, startNode } from './cluster.js'
import { type AnyTopics, all, failure, fresh } from './support.js'
import { within } from './world.js'

let node: Node
let folder: string
/** The cluster's own certificate, which it has signed itself. */
let ca: string
/** The cluster hangs up on who goes on for longer without authenticating anew. Kafka: connections.max.reauth.ms (KIP-368) */
const sessionMs = 2_000
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
    `connections.max.reauth.ms=${sessionMs}`,
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

/** A request of the one who may do everything. */
async function asAdmin(request: (kafka: Kafka, connection: Connection) => Promise<unknown>): Promise<void> {
  const kafka = await loadKafka()
  const [host = '', port] = node.address.split(':')
  const connection = await connect(
    kafka,
    { host, port: Number(port) },
    {
      tls: { ca },
      sasl: { mechanism: 'PLAIN', username: 'admin', password: 'secret' },
      clientId: 'admin',
      connectTimeoutMs: 30_000,
      requestTimeoutMs: 30_000,
    },
  )
  await request(kafka, connection)
  await connection.close()
}

/** Gives a user a password to authenticate with by SCRAM. Kafka: AlterUserScramCredentials. */
async function addScramUser(name: string, password: string, bits: 256 | 512): Promise<void> {
  const salt = randomBytes(16)
  const iterations = 4_096
  const saltedPassword = pbkdf2Sync(password, salt, iterations, bits / 8, `sha${bits}`)
  // Kafka: ScramMechanism
  const mechanism = bits === 256 ? 1 : 2
  const upsertion = { name, mechanism, iterations, salt, saltedPassword }
  await asAdmin((kafka, connection) => kafka.alterUserScramCredentialsV0.api.async(connection, [], [upsertion]))
}

/** Kafka: ResourceType, AclOperation. */
const resources = { topic: 2, group: 3 } as const
const operations = { read: 3, describe: 8 } as const
type Right = readonly [operation: keyof typeof operations, resource: keyof typeof resources, name: string]

function aclOf([operation, resource, resourceName]: Right) {
  const [literal, allow] = [3, 3] as const
  return {
    resourceType: resources[resource],
    resourceName,
    resourcePatternType: literal,
    principal: 'User:carol',
    host: '*',
    operation: operations[operation],
    permissionType: allow,
  }
}
/** Carol may, or may not any more. Kafka: CreateAcls, DeleteAcls. */
async function allow(...rights: readonly Right[]): Promise<void> {
  await asAdmin((kafka, connection) => kafka.createAclsV3.api.async(connection, rights.map(aclOf)))
}
async function revoke(...rights: readonly Right[]): Promise<void> {
  await asAdmin((kafka, connection) => kafka.deleteAclsV3.api.async(connection, rights.map(aclOf)))
}

function broker(options: Partial<KafkaBrokerOptions<AnyTopics>>): KafkaBroker<AnyTopics> {
  return kafkaBroker<AnyTopics>({ bootstrapBrokers: [node.address], requestTimeoutMs: 15_000, ...options })
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

  test.each([plain, { mechanism: 'OAUTHBEARER', token: () => token('alice') }] as const)(
    '$mechanism: sessions that end under load are followed by others, and nobody hears of it',
    async sasl => {
      await using cluster = broker({ tls: { ca }, sasl })
      const orders = await cluster.createTopic(fresh('orders'))
      const lost: unknown[] = []
      const group = cluster.group(fresh('billing'), { topics: orders.name, autoCommitIntervalMs: 100 })
      const consumer = group.join({ onLost: partitions => void lost.push(...partitions) })
      const handled: number[] = []
      const running = consumer.run(({ value }) => void handled.push(value))
      const end = Date.now() + 3 * sessionMs
      let published = 0
      for (; Date.now() < end; published++) await orders.publish({ value: published })
      await within('the rest', group.caughtUp())
      expect(handled).toEqual([...Array(published).keys()])
      expect(lost).toEqual([])
      await consumer.close()
      await running
    },
  )

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
    expect(Date.now() - started).toBeLessThan(25_000)
    await cluster.close()
  })

  test('a token that can not be had for a moment is asked for again', async () => {
    let calls = 0
    const flaky = async (): Promise<string> => {
      if (++calls === 1) throw new Error('its server restarts')
      return token('alice')
    }
    await worksWith({ sasl: { mechanism: 'OAUTHBEARER', token: flaky } })
    expect(calls).toBeGreaterThan(1)
  })

  test('one that can not be had at all: SASL_AUTHENTICATION_FAILED with the reason', async () => {
    const down = (): string => {
      throw new Error('its server is down')
    }
    await using cluster = broker({
      tls: { ca },
      sasl: { mechanism: 'OAUTHBEARER', token: down },
      requestTimeoutMs: 1_000,
    })
    const error = await failure(() => cluster.ready())
    expect(error).toMatchObject({ code: 'SASL_AUTHENTICATION_FAILED', retriable: true })
    expect(error.message).toContain('its server is down')
  })

  test('a function that gives no token: INVALID_CONFIG', async () => {
    await using cluster = broker({ tls: { ca }, sasl: { mechanism: 'OAUTHBEARER', token: () => undefined as never } })
    const error = await failure(() => cluster.ready())
    expect(error).toMatchObject({ code: 'INVALID_CONFIG', details: { option: 'sasl.token', value: 'undefined' } })
  })

  test('none at all: told that nobody answers a stranger', async () => {
    await using cluster = broker({ tls: { ca }, requestTimeoutMs: 1_000 })
    const error = await failure(() => cluster.ready())
    expect(error).toMatchObject({ code: 'NETWORK_EXCEPTION', details: { address: node.address } })
    expect(error.message).toMatch(/hung up.*authentication/)
  })

  test('where none are wanted: SASL_AUTHENTICATION_FAILED that says so', async () => {
    await using cluster = broker({ bootstrapBrokers: [inject('kafka')], sasl: plain })
    const error = await failure(() => cluster.ready())
    expect(error).toMatchObject({ code: 'SASL_AUTHENTICATION_FAILED', details: { mechanism: 'PLAIN' } })
    expect(error.message).toMatch(/wants no authentication at this port/)
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

  /** A topic with a record in it, and a member of Carol's that has read it by her rights. */
  async function member(): Promise<{
    name: string
    id: string
    owner: KafkaBroker<AnyTopics>
    stranger: KafkaBroker<AnyTopics>
  }> {
    const name = fresh('orders')
    const id = fresh('billing')
    const owner = broker({ tls: { ca }, sasl: plain })
    await owner.createTopic(name)
    await owner.topic(name).publish({ value: 1 })
    await allow(['read', 'topic', name], ['describe', 'topic', name], ['read', 'group', id])
    return { name, id, owner, stranger: broker({ tls: { ca }, sasl: carol }) }
  }
  const values = (records: readonly ConsumerRecord<any>[]): unknown[] => records.map(({ value }) => value)

  // Kafka: FetchCollector.handleInitializeErrors throws out of poll(), and leaves the group alone.
  test('a topic that may not be read any more: poll() rejects, and goes on where it was when it may', async () => {
    const { name, id, owner, stranger } = await member()
    await using _ = owner
    await using __ = stranger
    const consumer = stranger.group(id, { topics: name }).join()
    expect(values(await consumer.poll())).toEqual([1])
    const { memberId } = consumer
    await revoke(['read', 'topic', name])
    const refused = { code: 'TOPIC_AUTHORIZATION_FAILED', details: { topic: name } }
    expect(await failure(() => within('a refusal', refusal(consumer)))).toMatchObject(refused)
    expect(consumer.assignment).toEqual([{ topic: name, partition: 0 }])
    await owner.topic(name).publish({ value: 2 })
    await allow(['read', 'topic', name])
    expect(values(await within('what came meanwhile', patiently(consumer)))).toEqual([2])
    expect(consumer.memberId).toBe(memberId)
  })

  test('the same in run(): it rejects, and the consumer closes', async () => {
    const { name, id, owner, stranger } = await member()
    await using _ = owner
    await using __ = stranger
    const group = stranger.group(id, { topics: name })
    const consumer = group.join()
    const handled: unknown[] = []
    const running = failure(() => consumer.run(({ value }) => handled.push(value)))
    await group.caughtUp()
    await revoke(['read', 'topic', name])
    expect(await within('a refusal', running)).toMatchObject({
      code: 'TOPIC_AUTHORIZATION_FAILED',
      details: { topic: name },
    })
    expect([handled, consumer.closed]).toEqual([[1], true])
  })

  // Kafka: AbstractHeartbeatRequestManager.onErrorResponse: told by poll(), the member stays as it is.
  test('a topic that may not be seen any more, as heartbeats find: poll() rejects, and the member stays one', async () => {
    const { name, id, owner, stranger } = await member()
    await using _ = owner
    await using __ = stranger
    const group = stranger.group(id, { topics: name })
    const consumer = group.join()
    expect(values(await consumer.poll())).toEqual([1])
    const { memberId } = consumer
    await consumer.commit()
    const uncaught: unknown[] = []
    const onUncaught = (error: unknown): void => void uncaught.push(error)
    process.on('uncaughtException', onUncaught)
    try {
      await revoke(['read', 'topic', name], ['describe', 'topic', name])
      // After an outage a heartbeat says everything anew, also what it subscribes to: only then it is looked at.
      await node.stop()
      await node.again()
      const refused = { code: 'TOPIC_AUTHORIZATION_FAILED' }
      expect(await failure(() => within('a refusal', refusal(consumer)))).toMatchObject(refused)
      expect(await failure(() => within('another', refusal(consumer)))).toMatchObject(refused)
      await owner.topic(name).publish({ value: 2 })
      await allow(['describe', 'topic', name], ['read', 'topic', name])
      expect(values(await within('what came meanwhile', patiently(consumer)))).toEqual([2])
      expect(consumer.memberId).toBe(memberId)
      await consumer.close()
    } finally {
      process.off('uncaughtException', onUncaught)
    }
    expect(uncaught).toEqual([])
  })

  test('a group that may not be used any more: the member loses everything, poll() says why, until it may again', async () => {
    const { name, id, owner, stranger } = await member()
    await using _ = owner
    await using __ = stranger
    const lost: unknown[] = []
    const group = stranger.group(id, { topics: name })
    const consumer = group.join({ onLost: partitions => void lost.push(...partitions) })
    expect(values(await consumer.poll())).toEqual([1])
    await consumer.commit()
    await revoke(['read', 'group', id])
    const refused = { code: 'GROUP_AUTHORIZATION_FAILED', details: { group: id } }
    expect(await failure(() => within('a refusal', refusal(consumer)))).toMatchObject(refused)
    expect(lost).toEqual([{ topic: name, partition: 0 }])
    expect(consumer.assignment).toEqual([])
    await owner.topic(name).publish({ value: 2 })
    await allow(['read', 'group', id])
    expect(values(await within('what came meanwhile', patiently(consumer)))).toEqual([2])
  })
})

/** Polls until it rejects. */
async function refusal(consumer: Consumer<ConsumerRecord<any>>): Promise<never> {
  for (;;) await consumer.poll()
}
/** Polls until there is something, whatever it is refused meanwhile. */
async function patiently(consumer: Consumer<ConsumerRecord<any>>): Promise<ConsumerRecord<any>[]> {
  for (;;) {
    const records = await consumer.poll().catch(() => [])
    if (records.length > 0) return records
  }
}

describe('TLS', () => {
  test('a certificate that nobody vouches for: NETWORK_EXCEPTION at once, not tried again', async () => {
    await using cluster = broker({ tls: true, sasl: plain })
    const error = await failure(() => cluster.ready())
    expect(error).toMatchObject({ code: 'NETWORK_EXCEPTION', retriable: false, details: { address: node.address } })
    expect(String(error.cause.cause ?? error.cause)).toMatch(/self-signed/)
  })

  test('no TLS where it is wanted: told within requestTimeoutMs, with what may be the reason', async () => {
    await using cluster = broker({ sasl: plain, requestTimeoutMs: 1_000 })
    const error = await failure(() => cluster.ready())
    expect(error).toMatchObject({ code: 'NETWORK_EXCEPTION', retriable: true, details: { address: node.address } })
    expect(error.message).toMatch(/hung up.*TLS/)
    expect(error.message).toContain(node.address)
  })

  test('TLS where it is not spoken: the same', async () => {
    const address = inject('kafka')
    await using cluster = broker({ bootstrapBrokers: [address], tls: true, requestTimeoutMs: 1_000 })
    const error = await failure(() => cluster.ready())
    expect(error).toMatchObject({ code: 'NETWORK_EXCEPTION', retriable: true, details: { address } })
    expect(error.message).toMatch(/handshake.*may not speak TLS/)
  })

  // As where a broker, or what balances the load before it, is started again.
  test('a handshake that is broken off is tried again', async () => {
    const [host = '', port] = node.address.split(':')
    let calls = 0
    const gateway = createServer(socket => {
      socket.on('error', () => {})
      if (++calls === 1) return void socket.once('data', () => socket.resetAndDestroy())
      const onward = createConnection(Number(port), host).on('error', () => socket.destroy())
      socket.pipe(onward).pipe(socket)
    })
    await new Promise<void>(resolve => gateway.listen(0, '127.0.0.1', resolve))
    const bootstrapBrokers = [`127.0.0.1:${(gateway.address() as AddressInfo).port}`]
    await using cluster = broker({ bootstrapBrokers, tls: { ca }, sasl: plain })
    await cluster.ready()
    expect(calls).toBe(2)
    await cluster.close()
    await new Promise(resolve => gateway.close(resolve))
  })
})
