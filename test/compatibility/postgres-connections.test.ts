import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createConnection, createServer } from 'node:net'
import { after, before, test } from 'node:test'
import { EmbeddedPostgres } from '../../embedded/postgres.ts'
import { freePorts } from '../../embedded/ports.ts'
import { connect } from '../../postgres/connect.ts'
import { ask } from '../../tools/stack/ask.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { allowOnly, CERTIFICATE, KEY, startStandby, turnTlsOn } from '../support/postgres-servers.ts'
import { runFirehose } from '../support/run-firehose.ts'
import { healthOf, postEvents, range, SHORT_TIMEOUTS } from '../support/sink-faults.ts'
import { until } from '../support/until.ts'

/* DATABASE_URL as libpq understands it: TLS in all its modes, client certificates, several hosts and a failover. */

let pipeline: Pipeline
let postgres: EmbeddedPostgres
let admin: string
let port: string

before(async () => {
  pipeline = await Pipeline.start({ KAFKA_TOPIC_PARTITIONS: '1', ...SHORT_TIMEOUTS })
  assert.ok(pipeline.backend.postgres instanceof EmbeddedPostgres, 'needs FIREHOSE_BACKEND=embedded')
  postgres = pipeline.backend.postgres
  await pipeline.query(`CREATE ROLE admin SUPERUSER LOGIN PASSWORD 'admin'`)
  admin = postgres.url.replace('firehose:firehose', 'admin:admin')
  port = new URL(admin).port
})
after(async () => {
  await pipeline?.close()
})

const url = (query: string, user = 'firehose:firehose', host = 'localhost'): string =>
  `postgresql://${user}@${host}:${port}/firehose?${query}`

/** `TLS`, `plain`, or the error. */
async function way(connectionString: string): Promise<string> {
  try {
    const client = await connect(connectionString)
    const { rows } = await client.query<{ ssl: boolean }>(
      'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()',
    )
    await client.end()
    return rows[0]?.ssl ? 'TLS' : 'plain'
  } catch (error) {
    return (error as Error).message
  }
}

const CHECKED = `sslmode=verify-full&sslrootcert=${CERTIFICATE}`

test('a server without TLS: prefer and allow connect without it, the others do not', async () => {
  for (const mode of ['disable', 'allow', 'prefer'])
    assert.equal(await way(url(`sslmode=${mode}`)), 'plain', mode)
  for (const mode of ['require', 'verify-ca', 'verify-full', 'no-verify'])
    assert.match(await way(url(`sslmode=${mode}`)), /does not support SSL/, mode)
})

test('a server with TLS: prefer uses it; whatever checks the certificate needs its authority and the name', async (t) => {
  await turnTlsOn(admin)
  for (const mode of ['prefer', 'no-verify']) assert.equal(await way(url(`sslmode=${mode}`)), 'TLS', mode)
  for (const mode of ['disable', 'allow']) assert.equal(await way(url(`sslmode=${mode}`)), 'plain', mode)
  for (const mode of ['require', 'verify-ca', 'verify-full'])
    assert.match(await way(url(`sslmode=${mode}`)), /self-signed certificate/, mode)
  for (const mode of ['require', 'verify-ca', 'verify-full'])
    assert.equal(await way(url(`sslmode=${mode}&sslrootcert=${CERTIFICATE}`)), 'TLS', mode)
  // The certificate is for localhost and 127.0.0.1, and for no other address.
  const other = createServer((client) => {
    const server = createConnection(Number(port), '127.0.0.1')
    for (const socket of [client, server]) socket.on('error', () => {})
    client.pipe(server).pipe(client)
  }).listen(0, '127.0.0.2')
  t.after(() => other.close())
  await once(other, 'listening')
  const elsewhere = (mode: string): string =>
    `postgresql://firehose:firehose@127.0.0.2:${(other.address() as AddressInfo).port}/firehose?sslmode=${mode}&sslrootcert=${CERTIFICATE}`
  assert.equal(await way(elsewhere('verify-ca')), 'TLS')
  for (const mode of ['require', 'verify-full'])
    assert.match(await way(elsewhere(mode)), /does not match certificate/, mode)
})

test('pg_hba.conf demands TLS, or excludes it: allow and prefer then take the other way, as libpq does', async () => {
  await allowOnly(admin, 'hostssl firehose firehose all scram-sha-256')
  assert.equal(await way(url('sslmode=allow')), 'TLS')
  assert.equal(await way(url('sslmode=prefer')), 'TLS')
  assert.match(await way(url('sslmode=disable')), /no pg_hba.conf entry .* no encryption/)
  assert.match(await way(url('sslmode=prefer', 'firehose:wrong')), /password authentication failed/)
  await allowOnly(admin, 'hostnossl firehose firehose all scram-sha-256')
  assert.equal(await way(url('sslmode=prefer')), 'plain')
  assert.match(await way(url('sslmode=no-verify')), /no pg_hba.conf entry .* SSL encryption/)
})

test('a client certificate instead of a password: the whole pipeline, with verify-full', async () => {
  await allowOnly(admin, 'hostssl firehose firehose all cert map=certificates')
  assert.match(await way(url(CHECKED)), /requires a valid client certificate/)
  const DATABASE_URL = url(`${CHECKED}&sslcert=${CERTIFICATE}&sslkey=${KEY}`, 'firehose')
  assert.equal(await way(DATABASE_URL), 'TLS')
  const env = { ...pipeline.env, DATABASE_URL }
  const migrated = await runFirehose(env, 'migrate')
  assert.deepEqual([migrated.code, migrated.err], [0, ''])
  const api = await pipeline.startApi()
  const sink = await pipeline.startSink(env)
  await postEvents(api, range(0, 30))
  await until('stored', async () => (await rowsAt(admin)) === 30)
  assert.equal((await runFirehose(env, 'verify')).code, 0)
  for (const service of [api, sink]) await service.stop(10_000)
  await allowOnly(admin, 'host firehose firehose all scram-sha-256')
})

test('several hosts: those that are down are passed over; a wrong password is not tried elsewhere', async () => {
  const [closed = 0] = await freePorts(1)
  const hosts = (user: string): string =>
    `postgresql://${user}@127.0.0.1:${closed},localhost:${port}/firehose?sslmode=prefer`
  assert.equal(await way(hosts('firehose:firehose')), 'TLS')
  assert.match(await way(hosts('firehose:wrong')), /^password authentication failed/)
  const down = `postgresql://u@127.0.0.1:${closed},localhost:${closed}/d`
  assert.match(
    await way(down),
    /^no server of DATABASE_URL can be used \(127.0.0.1:\d+: .*ECONNREFUSED.*; localhost:\d+: .*ECONNREFUSED/,
  )
})

test('a failover: the standby is passed over until it is promoted, then the sink goes on there by itself', async (t) => {
  const standby = await startStandby(postgres, pipeline.backend.dir ?? '')
  t.after(async () => await standby.kill())
  const standbyAddress = new URL(standby.url).host
  const DATABASE_URL = `postgresql://firehose:firehose@${standbyAddress},127.0.0.1:${port}/firehose?target_session_attrs=read-write&sslmode=prefer`
  assert.match(
    await way(standby.url.concat('?target_session_attrs=read-write')),
    /^it accepts no writes, which target_session_attrs asks for/,
  )
  const api = await pipeline.startApi()
  const sink = await pipeline.startSink({ DATABASE_URL })
  await postEvents(api, range(100, 30))
  await until('stored', async () => (await rowsAt(admin)) === 60)
  await postgres.kill()
  await postEvents(api, range(130, 30))
  await until('paused', async () => (await healthOf(sink)).state === 'paused')
  const { reason } = await healthOf(sink)
  assert.match(reason ?? '', /ECONNREFUSED|Connection terminated|no server of DATABASE_URL can be used/)
  await ask(standby.url, 'SELECT pg_promote()', { limitMs: 60_000 })
  await until('stored at the new primary', async () => (await rowsAt(standby.url)) === 90)
  const verified = await runFirehose({ ...pipeline.env, DATABASE_URL }, 'verify')
  assert.deepEqual([verified.code, verified.err], [0, verified.err])
  const health = await healthOf(sink)
  assert.deepEqual([health.state, health.total_dead], ['running', 0])
})

async function rowsAt(at: string): Promise<number | undefined> {
  return (await ask<{ count: number }>(at, 'SELECT count(*)::int AS count FROM events'))[0]?.count
}
