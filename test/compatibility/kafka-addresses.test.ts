import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { after, test } from 'node:test'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { NO_IPV6, startListeners } from '../support/kafka-listeners.ts'
import { runFirehose } from '../support/run-firehose.ts'
import { storedRows } from '../support/sink-health.ts'

/* Addresses in all the forms that people write, and what is said of those that cannot be. */

const { backend, at } = await startListeners()
const pipeline = await Pipeline.on(backend)
const EVENT = ['--user-id', '1', '--metadata', '{}']

after(async () => {
  await pipeline.close()
})

test('everything works with IPv6 addresses: of Kafka, PostgreSQL, the API and the sink', {
  skip: NO_IPV6 ?? false,
}, async () => {
  // The embedded PostgreSQL listens on 127.0.0.1 only.
  const { port } = new URL(backend.postgres.url)
  const proxy = createServer((client) => {
    const server = connect(Number(port), '127.0.0.1')
    client.pipe(server).pipe(client)
    for (const socket of [client, server]) socket.on('error', () => {})
  })
  proxy.listen(0, '::1')
  await once(proxy, 'listening')
  const database = new URL(backend.postgres.url)
  database.host = `[::1]:${(proxy.address() as AddressInfo).port}`
  const env = {
    KAFKA_BOOTSTRAP_SERVERS: at.IPV6,
    DATABASE_URL: String(database),
    HOST: '::1',
    SINK_HOST: '::1',
  }
  // They are ready on ::1, so the pipeline, which asks 127.0.0.1, cannot wait for it.
  const [api, sink] = [await pipeline.spawnApi(env), await pipeline.spawnSink(env)]
  const addresses = {
    API_URL: api.url.replace('127.0.0.1', '[::1]'),
    SINK_URL: sink.url.replace('127.0.0.1', '[::1]'),
  }
  const all = { ...pipeline.env, ...env, ...addresses }
  const sent = await runFirehose(all, 'send', ...EVENT)
  assert.equal(sent.code, 0, sent.err)
  await storedRows(pipeline, 1)
  const doctor = await runFirehose(all, 'doctor', '--json')
  for (const { check, level, text } of JSON.parse(doctor.out).findings)
    assert.ok(['ok', 'note'].includes(level), `${check}: ${text}`)
  const verified = await runFirehose(all, 'verify')
  assert.equal(verified.code, 0, verified.out + verified.err)
  const where = await runFirehose(all, 'where', sent.out.trim())
  assert.equal(where.code, 0, where.out + where.err)
  await Promise.all([api.kill(), sink.kill()])
  proxy.close()
})

test('a protocol in front of the brokers is understood', async () => {
  const env = { ...pipeline.env, KAFKA_BOOTSTRAP_SERVERS: `PLAINTEXT://${backend.kafka.bootstrapServers}` }
  const { code, out } = await runFirehose(env, 'doctor', '--check', 'kafka')
  assert.equal(code, 0, out)
})

test('an address that cannot be is refused at the start, by everything, and the sentence says which setting', async () => {
  for (const [name, value, ...commands] of [
    ['KAFKA_BOOTSTRAP_SERVERS', 'kafka:99999', 'api', 'sink', 'tail', 'doctor', 'verify'],
    ['KAFKA_BOOTSTRAP_SERVERS', '::1:9092', 'api'],
    ['KAFKA_BOOTSTRAP_SERVERS', 'http://kafka:9092', 'api'],
    ['KAFKA_BOOTSTRAP_SERVERS', 'SASL_SSL://kafka:9092', 'api'],
    ['DATABASE_URL', 'postgresql://user:hunter2@host:99999/db', 'sink', 'doctor'],
  ] as const) {
    const env = { ...pipeline.env, [name]: value }
    for (const command of commands) {
      const { code, out, err } = await runFirehose(env, command)
      assert.match(out + err, new RegExp(`${name} (\\(or PG\\*\\) )?(must|has|begins)`), command)
      assert.doesNotMatch(out + err, /hunter2/)
      if (['api', 'sink', 'tail'].includes(command)) assert.equal(code, 78, command)
    }
  }
})

test('an address of a service that cannot be is wrong usage, and never taken for a service that is down', async () => {
  for (const url of [
    'http://127.0.0.1:99999',
    'http://[::1:8000',
    'ftp://127.0.0.1',
    'http://user:hunter2@host',
  ]) {
    const { code, err } = await runFirehose(pipeline.env, 'send', ...EVENT, '--url', url)
    assert.equal(code, 64, err)
    assert.match(err, /--url must be an address such as/)
    const doctor = await runFirehose(pipeline.env, 'doctor', '--api', url)
    assert.equal(doctor.code, 64, doctor.out)
    assert.match(doctor.err, /--api must be an address such as/)
    assert.doesNotMatch(err + doctor.out + doctor.err, /hunter2/)
  }
})
