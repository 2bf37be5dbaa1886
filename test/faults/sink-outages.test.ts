import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import pg from 'pg'
import type { NodeService } from '../../embedded/node-service.ts'
import { type ProxiedSink, startSink } from '../../tools/drill/embedded-stage.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { metricOf } from '../support/metrics.ts'
import { idOf } from '../support/records.ts'
import {
  assertDrained,
  connectAs,
  healthOf,
  leastPrivilegedUrl,
  pausedBy,
  range,
  sendEvents,
  SHORT_TIMEOUTS,
} from '../support/sink-faults.ts'
import { until } from '../support/until.ts'

/*
 * I5: other outages of PostgreSQL. Frozen, killed, locked (55P03), and stopped without traffic:
 * test/faults/quick/database-outage.test.ts. A full disk: sink-disk.test.ts.
 */

let pipeline: Pipeline
let roleUrl: string
let sink: ProxiedSink
let service: NodeService
let sent = 0

before(async () => {
  pipeline = await Pipeline.start({ KAFKA_TOPIC_PARTITIONS: '1', ...SHORT_TIMEOUTS })
  roleUrl = await leastPrivilegedUrl(pipeline)
  sink = await startSink(pipeline, 'sink 1', { DATABASE_URL: roleUrl })
  ;({ service } = sink)
})
afterEach(async () => {
  await assertDrained(pipeline, service)
  assert.equal(await pipeline.countEvents(), sent)
  assert.deepEqual(await pipeline.query('SELECT * FROM dead_letters'), [])
})
after(async () => {
  await pipeline?.close()
  await sink?.proxy.close()
})

test('I5: a failover leaves the sink with a read-only server: it pauses, needs no operator, and drains once a server accepts writes', async () => {
  await pipeline.query('ALTER DATABASE firehose SET default_transaction_read_only = on')
  try {
    await endSessions()
    await send()
    const paused = await pausedBy(service, /cannot execute \w+ in a read-only transaction \(25006\)/)
    assert.equal(paused.needs_person, false)
  } finally {
    const superuser = await connectAs(pipeline.backend.postgres.url)
    await superuser.query('SET default_transaction_read_only = off')
    await superuser.query('ALTER DATABASE firehose RESET default_transaction_read_only')
    await superuser.end()
  }
  // New sessions can write, the old one cannot, so the sink must reconnect.
})

test('I5: no connection is free when the sink must reconnect: it pauses with the reason and drains once one is free', async () => {
  const taken: pg.Client[] = []
  try {
    const paused = await until('all connections are taken', async () => {
      await takeAll(taken)
      await endSessions()
      await takeAll(taken)
      return await pausedBy(
        service,
        /remaining connection slots.* \(53300\): raise max_connections/,
        2_000,
      ).catch(
        () => undefined, // the sink was faster
      )
    })
    assert.equal(paused.needs_person, false)
    await send()
  } finally {
    await Promise.all(taken.map(async (client) => await client.end()))
  }
})

test('I5: PostgreSQL freezes while there is nothing to write: the sink still pauses within seconds', async () => {
  await until('the sink reads', async () => (await healthOf(service)).state === 'running')
  await pipeline.backend.postgres.freeze()
  try {
    const paused = await pausedBy(service, /PostgreSQL has been silent|timeout/, 30_000)
    assert.equal(paused.needs_person, false)
  } finally {
    await pipeline.backend.postgres.thaw()
  }
})

test('I2: a deadlock with another client: the sink retries without a pause, and all is stored once', async () => {
  const patient = await startSink(pipeline, 'sink 2', { DATABASE_URL: roleUrl, DATABASE_TIMEOUT_MS: '20000' })
  await service.stop(10_000)
  const other = await connectAs(pipeline.backend.postgres.url)
  try {
    await until('the sink reads', async () => (await healthOf(patient.service)).state === 'running')
    const last = sent + 299
    const held = patient.proxy.holdAt('within_copy', AbortSignal.timeout(60_000))
    await send(300, { padding: 'x'.repeat(1_000) })
    const link = await held
    await other.query(`BEGIN; SET LOCAL deadlock_timeout = '60s'`) // so that the sink detects the deadlock
    await other.query(
      `INSERT INTO events VALUES ($1, 0, '2026-01-01T00:00:00Z', '{}', '2026-01-01T00:00:00Z')`,
      [idOf(last)],
    )
    const waiting = other.query('UPDATE sink_offsets SET updated_at = now()') // the sink has locked this row
    link.release()
    await waiting
    await other.query('ROLLBACK')
    await assertDrained(pipeline, patient.service)
    const [row] = await pipeline.query<{ deadlocks: string }>(
      'SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()',
    )
    // Sometimes the sink retries before the other session wakes up, and they deadlock again.
    assert.ok(Number(row?.deadlocks) >= 1)
    assert.equal(await metricOf(patient.service, 'firehose_sink_pauses_total'), 0)
  } finally {
    await other.end()
    await patient.kill()
    await patient.proxy.close()
    await service.start()
  }
})

for (const [times, pauses] of [
  [3, 0],
  [7, 1],
] as const) {
  test(`I5: a trigger fails ${times} times with a serialization failure: ${pauses} pauses, then all is stored`, async () => {
    const earlier = await metricOf(service, 'firehose_sink_pauses_total')
    await pipeline.query(`
      CREATE SEQUENCE tries; GRANT USAGE ON SEQUENCE tries TO firehose_sink;
      CREATE FUNCTION contend() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF nextval('tries') <= ${times} THEN RAISE EXCEPTION 'try again' USING ERRCODE = '40001'; END IF;
        RETURN NULL; END $$;
      CREATE TRIGGER contend BEFORE INSERT ON events FOR EACH STATEMENT EXECUTE FUNCTION contend()`)
    await send()
    await assertDrained(pipeline, service)
    await pipeline.query('DROP TRIGGER contend ON events; DROP FUNCTION contend; DROP SEQUENCE tries')
    assert.equal((await metricOf(service, 'firehose_sink_pauses_total')) - earlier, pauses)
  })
}

test("I5: someone cancels the sink's COPY: the sink retries", async () => {
  await until('the sink reads', async () => (await healthOf(service)).state === 'running')
  const held = sink.proxy.holdAt('within_copy', AbortSignal.timeout(60_000))
  await send(300, { padding: 'x'.repeat(1_000) })
  const link = await held
  const cancelled = await pipeline.query(
    `SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE application_name = 'firehose-sink' AND query ~ '^COPY events'`,
  )
  assert.equal(cancelled.length, 1)
  link.release()
  const paused = await pausedBy(service, /canceling statement due to user request \(57014\)/)
  assert.equal(paused.needs_person, false)
})

async function send(count = 50, metadata: object = {}): Promise<void> {
  await sendEvents(pipeline, range(sent, count), () => ({ metadata }))
  sent += count
}

/** Terminates the sink's sessions, so that it must reconnect. */
async function endSessions(): Promise<void> {
  await pipeline.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'firehose-sink'`,
  )
}

/** Connects as the sink's role until PostgreSQL has no free connection. */
async function takeAll(taken: pg.Client[]): Promise<void> {
  for (;;) {
    try {
      taken.push(await connectAs(roleUrl))
    } catch (error) {
      if ((error as { code?: string }).code === '53300') return
      throw error
    }
  }
}
