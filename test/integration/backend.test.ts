import assert from 'node:assert/strict'
import { connect as connectTo } from 'node:net'
import { networkInterfaces } from 'node:os'
import { after, before, describe, test } from 'node:test'
import { type Admin, Kafka, logLevel, type Producer } from 'kafkajs'
import { Client } from 'pg'
import { kafkaAnswers } from '../../embedded/kafka-ready.ts'
import { isPortFree } from '../../embedded/ports.ts'
import { type Backend, startBackend } from '../../tools/stack/backends.ts'

/* The guarantees of every backend, on which the other tests rely. */

let backend: Backend

before(async () => {
  backend = await startBackend()
})

after(() => backend.close())

describe('Kafka', () => {
  const topic = 'backend-test'
  let admin: Admin
  let producer: Producer

  before(async () => {
    const kafka = new Kafka({
      brokers: [backend.kafka.bootstrapServers],
      logLevel: logLevel.NOTHING,
      requestTimeout: 2_000,
      enforceRequestTimeout: true,
      retry: { retries: 20, initialRetryTime: 50, maxRetryTime: 250 },
    })
    admin = kafka.admin()
    producer = kafka.producer()
    await Promise.all([admin.connect(), producer.connect()])
    await admin.createTopics({ topics: [{ topic, numPartitions: 1 }] })
  })

  after(() => Promise.all([admin.disconnect(), producer.disconnect()]))

  test('acknowledges a record', async () => {
    await send()
    assert.equal(await endOffset(), '1')
  })

  test('keeps acknowledged records and its cluster id over kill -9', async () => {
    const { clusterId } = await admin.describeCluster()
    await backend.kafka.kill()
    assert.equal(await isPortFree(portOf(backend.kafka.bootstrapServers)), true)
    await backend.kafka.start()
    await send()
    assert.equal(await endOffset(), '2')
    assert.equal((await admin.describeCluster()).clusterId, clusterId)
  })

  test('does not answer while frozen and continues when thawed', async () => {
    const port = portOf(backend.kafka.bootstrapServers)
    await backend.kafka.freeze()
    assert.equal(await kafkaAnswers(port, 300), false)
    const sent = send()
    await backend.kafka.thaw()
    await sent
    assert.equal(await kafkaAnswers(port, 5_000), true)
    assert.ok(Number(await endOffset()) >= 3)
  })

  async function send(): Promise<void> {
    await producer.send({ topic, acks: -1, messages: [{ value: 'x', partition: 0 }] })
  }

  async function endOffset(): Promise<string | undefined> {
    return (await admin.fetchTopicOffsets(topic))[0]?.high
  }
})

describe('PostgreSQL', () => {
  test('answers in UTC and UTF-8, durably', async () => {
    const client = await connect()
    const show = async (name: string) =>
      Object.values((await client.query(`SHOW ${name}`)).rows[0] as object)[0]
    assert.equal(await show('TimeZone'), 'UTC')
    assert.equal(await show('server_encoding'), 'UTF8')
    assert.equal(await show('fsync'), 'on')
    assert.match(await show('server_version'), /^18\./)
    await client.end()
  })

  test('rejects a wrong password', async () => {
    const wrong = new Client({ connectionString: backend.postgres.url.replace(':firehose@', ':wrong@') })
    await assert.rejects(wrong.connect(), { code: '28P01' })
  })

  test('keeps committed rows over kill -9', async () => {
    const doomed = await connect()
    await doomed.query('CREATE TABLE kept AS SELECT 1 AS n')
    const closed = new Promise((resolve) => doomed.once('end', resolve))
    await backend.postgres.kill()
    await closed
    await backend.postgres.start()
    const client = await connect()
    assert.deepEqual((await client.query('SELECT n FROM kept')).rows, [{ n: 1 }])
    await client.end()
  })

  test('does not answer while frozen, even on open connections, and continues when thawed', async () => {
    const client = await connect()
    const impatient = new Client({ connectionString: backend.postgres.url, connectionTimeoutMillis: 300 })
    await backend.postgres.freeze()
    let answered = false
    const answer = client.query('SELECT 1').then(() => (answered = true))
    await assert.rejects(impatient.connect(), /timeout/)
    assert.equal(answered, false)
    await backend.postgres.thaw()
    await answer
    await client.end()
  })
})

test('both listen on 127.0.0.1 only', async () => {
  const addresses = Object.values(networkInterfaces())
    .flatMap((list) => list ?? [])
    .filter(({ internal, family }) => !internal && family === 'IPv4')
  for (const { address } of addresses) {
    for (const port of ports()) assert.equal(await isOpen(address, port), false, `${address}:${port}`)
  }
  for (const port of ports()) assert.equal(await isOpen('127.0.0.1', port), true)
})

test('after stop nothing listens, and start finds all data again', async () => {
  const { kafka, postgres } = backend
  await Promise.all([kafka.stop(), postgres.stop()])
  assert.deepEqual(await Promise.all(ports().map(isPortFree)), [true, true])
  await Promise.all([kafka.start(), postgres.start()])
  assert.deepEqual(await Promise.all(ports().map(isPortFree)), [false, false])
})

test('a frozen service can be killed, and a stopped one stopped again', async () => {
  for (const service of [backend.kafka, backend.postgres]) {
    await service.freeze()
    await service.kill()
    await service.kill()
    await service.stop()
  }
  assert.deepEqual(await Promise.all(ports().map(isPortFree)), [true, true])
})

function ports(): number[] {
  return [portOf(backend.kafka.bootstrapServers), Number(new URL(backend.postgres.url).port)]
}

function isOpen(address: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connectTo({ host: address, port, timeout: 1_000 })
    const end = (open: boolean) => {
      socket.destroy()
      resolve(open)
    }
    socket.on('connect', () => end(true))
    socket.on('error', () => end(false))
    socket.on('timeout', () => end(false))
  })
}

function portOf(server: string): number {
  return Number(server.split(':')[1])
}

async function connect(): Promise<Client> {
  const client = new Client({ connectionString: backend.postgres.url })
  client.on('error', () => {})
  await client.connect()
  return client
}
