import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { after, before, test } from 'node:test'
import { promisify } from 'node:util'
import type { NodeService } from '../../embedded/node-service.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { record, withProducer } from '../support/records.ts'
import { assertDrained, healthOf, range, sendEvents, SHORT_TIMEOUTS } from '../support/sink-faults.ts'
import { until } from '../support/until.ts'

/* I2: a database restored to an earlier state, wholly or partly, is filled again from Kafka, each event once. */

const TABLES = ['events', 'dead_letters', 'sink_offsets']

let pipeline: Pipeline
let sink: NodeService

before(async () => {
  pipeline = await Pipeline.start({ KAFKA_TOPIC_PARTITIONS: '1', ...SHORT_TIMEOUTS })
  sink = await pipeline.startSink()
  await sendMixed(0)
  await assertDrained(pipeline, sink)
  for (const table of TABLES) await pipeline.query(`CREATE TABLE backup_${table} AS TABLE ${table}`)
  await sendMixed(1_000)
  await assertDrained(pipeline, sink)
})
after(async () => {
  await pipeline?.close()
})

test('I2: restored from an older backup while the sink is stopped: later events are stored again, each once', async () => {
  await sink.stop(10_000)
  await restore()
  await sink.start()
  await assertDrained(pipeline, sink)
  await assertRows(400, 4)
  const { total_stored, total_duplicates } = await healthOf(sink)
  assert.deepEqual({ total_stored, total_duplicates }, { total_stored: 200, total_duplicates: 0 })
})

test('I2: restored from an older backup while the sink runs: it notices with the next event, and reads again from there', async () => {
  await restore()
  await sendMixed(2_000)
  await assertDrained(pipeline, sink)
  await assertRows(600, 6)
})

test('I2: restored while the sink runs and loses its connections: it notices without a new event', async () => {
  await restore()
  await pipeline.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'firehose-sink'`,
  )
  await until('all is stored again', async () => (await pipeline.countEvents()) === 600)
  await assertDrained(pipeline, sink)
  await assertRows(600, 6)
})

test('I2: rows are lost but the offsets are not: verify reports them, rewind stores them again, each once', async () => {
  await pipeline.query('DELETE FROM events WHERE user_id BETWEEN 50 AND 1049')
  await pipeline.query('DELETE FROM dead_letters WHERE "offset" < 150')
  const broken = await pipeline.verify()
  assert.equal(broken.ok, false)
  assert.equal(broken.missing_count, 200 + 1, 'rows and dead letters')
  const [first] = broken.missing_from
  assert.deepEqual(first, { partition: 0, offset: '50' })
  await promisify(execFile)(process.execPath, ['cli/firehose.ts', 'rewind', '--to', first.offset], {
    env: pipeline.env,
  })
  await sendMixed(3_000) // the running sink finds its offsets moved
  await assertDrained(pipeline, sink)
  await assertRows(800, 8)
})

/** Sends 200 events and two records that are not events; the second of these is the last record. */
async function sendMixed(from: number): Promise<void> {
  await sendEvents(pipeline, range(from, 100))
  await withProducer(pipeline.backend.kafka.bootstrapServers, async (send) => {
    const values = [`no event ${from}`, ...range(from + 100, 100).map((n) => record(n)), `none ${from}`]
    await send(values.map((value) => ({ value, partition: 0 })))
  })
}

/** Restores the tables from the backup, in one transaction. */
async function restore(): Promise<void> {
  const statements = TABLES.map((table) => `DELETE FROM ${table}; INSERT INTO ${table} TABLE backup_${table}`)
  await pipeline.query(['BEGIN', ...statements, 'COMMIT'].join(';'))
}

async function assertRows(events: number, deadLetters: number): Promise<void> {
  assert.equal(await pipeline.countEvents(), events)
  assert.equal((await pipeline.query('SELECT 1 FROM dead_letters')).length, deadLetters)
}
