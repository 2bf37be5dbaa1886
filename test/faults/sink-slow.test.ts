import assert from 'node:assert/strict'
import { after, afterEach, before, test } from 'node:test'
import type { NodeService } from '../../embedded/node-service.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { metricOf } from '../support/metrics.ts'
import {
  assertDrained,
  healthOf,
  leastPrivilegedUrl,
  pausedBy,
  range,
  sendEvents,
  SHORT_TIMEOUTS,
} from '../support/sink-faults.ts'
import { until } from '../support/until.ts'

/* A batch that is too large for one transaction: the table is too slow, or too many rows are refused. */

let pipeline: Pipeline
let sink: NodeService

before(async () => {
  pipeline = await Pipeline.start({ KAFKA_TOPIC_PARTITIONS: '1', ...SHORT_TIMEOUTS })
  sink = await pipeline.startSink({ DATABASE_URL: await leastPrivilegedUrl(pipeline) })
})
afterEach(async () => {
  await pipeline.query('DROP TRIGGER IF EXISTS slow ON events')
})
after(async () => {
  await pipeline?.close()
})

test('I5: a trigger too slow for a whole batch: smaller transactions are stored, and large ones again once it is dropped', async (t) => {
  await slowTrigger('0.02')
  const from = performance.now()
  await sendEvents(pipeline, range(0, 400)) // 8 s in one transaction, with a timeout of 1 s
  await assertDrained(pipeline, sink)
  t.diagnostic(`400 rows of 20 ms took ${((performance.now() - from) / 1000).toFixed(1)} s`)
  assert.equal((await healthOf(sink)).total_duplicates, 0)

  await pipeline.query('DROP TRIGGER slow ON events')
  await sendEvents(pipeline, range(1_000, 3_000)) // the limit grows back meanwhile
  await assertDrained(pipeline, sink)
  const earlier = await metricOf(sink, 'firehose_sink_batch_records_count')
  await sendEvents(pipeline, range(5_000, 3_000))
  await assertDrained(pipeline, sink)
  const transactions = (await metricOf(sink, 'firehose_sink_batch_records_count')) - earlier
  assert.ok(transactions <= 2, `3000 rows in ${transactions} transactions`)
})

test('I5: a trigger so slow that only single rows are stored in time: all are stored', async (t) => {
  await slowTrigger('0.6')
  const from = performance.now()
  await sendEvents(pipeline, range(10_000, 8))
  await assertDrained(pipeline, sink)
  t.diagnostic(`8 rows of 600 ms took ${((performance.now() - from) / 1000).toFixed(1)} s`)
})

test('I5: a statement_timeout too short for a whole batch: smaller transactions are stored', async () => {
  await slowTrigger('0.01')
  await pipeline.query(`ALTER ROLE firehose_sink SET statement_timeout = '240ms'`)
  await sink.stop(10_000)
  await sink.start()
  await sendEvents(pipeline, range(11_000, 100))
  const paused = await pausedBy(sink, /statement timeout/)
  assert.equal(paused.needs_person, false)
  await assertDrained(pipeline, sink)
  const pauses = await metricOf(sink, 'firehose_sink_pauses_total')
  await sendEvents(pipeline, range(11_200, 200))
  await assertDrained(pipeline, sink)
  const more = (await metricOf(sink, 'firehose_sink_pauses_total')) - pauses
  assert.ok(more <= 3, `it learns the limit; ${more} more pauses`)
  await pipeline.query('ALTER ROLE firehose_sink RESET statement_timeout')
  await sink.stop(10_000)
  await sink.start()
})

test('I6: hundreds of refused rows scattered in a batch: only those are dead-lettered, in transactions of bounded size', async (t) => {
  await pipeline.query('ALTER TABLE events ADD CONSTRAINT no_fifth CHECK (user_id % 5 <> 0) NOT VALID')
  const from = performance.now()
  await sendEvents(pipeline, range(21_000, 2_000))
  await assertDrained(pipeline, sink)
  t.diagnostic(`2000 rows took ${((performance.now() - from) / 1000).toFixed(1)} s`)
  await pipeline.query('ALTER TABLE events DROP CONSTRAINT no_fifth')
  const stored = await pipeline.query('SELECT 1 FROM events WHERE user_id BETWEEN 21000 AND 22999')
  assert.equal(stored.length, 1_600)
  const [largest] = await pipeline.query<{ count: string }>(
    `SELECT count(*) FROM dead_letters WHERE reason = 'constraint' GROUP BY created_at ORDER BY 1 DESC LIMIT 1`,
  )
  assert.ok(Number(largest?.count) <= 100, `${largest?.count} dead letters in one transaction, by its now()`)
})

test('I6: one client sends a thousand refused events in a row: no pause, and only they are dead-lettered', async () => {
  const { total_dead } = await healthOf(sink)
  const pauses = await metricOf(sink, 'firehose_sink_pauses_total')
  await pipeline.query('ALTER TABLE events ADD CONSTRAINT no_777 CHECK (user_id <> 777)')
  await sendEvents(pipeline, range(30_000, 5_000), (n) => (n < 31_000 || n >= 32_200 ? {} : { user_id: 777 }))
  await assertDrained(pipeline, sink)
  await pipeline.query('ALTER TABLE events DROP CONSTRAINT no_777')
  assert.equal((await healthOf(sink)).total_dead - total_dead, 1_200)
  assert.equal(await metricOf(sink, 'firehose_sink_pauses_total'), pauses)
})

test('I6: a constraint that refuses most of a large batch: the sink soon pauses and needs an operator; nothing is dead-lettered', async () => {
  const { total_dead } = await healthOf(sink)
  await pipeline.query('ALTER TABLE events ADD CONSTRAINT one_in_ten CHECK (user_id % 10 = 0) NOT VALID')
  await sendEvents(pipeline, range(40_000, 5_000))
  const paused = await pausedBy(sink, /rows were refused \(one_in_ten, 23514\), so nothing is dead-lettered/)
  assert.equal(paused.needs_person, true)
  await pipeline.query('ALTER TABLE events DROP CONSTRAINT one_in_ten')
  await assertDrained(pipeline, sink)
  assert.equal((await healthOf(sink)).total_dead, total_dead)
})

test('I6: the table breaks while a large batch is split: the sink pauses and needs an operator; nothing is dead-lettered for it', async () => {
  const { total_dead } = await healthOf(sink)
  await pipeline.query('ALTER TABLE events ADD CONSTRAINT no_fives CHECK (user_id % 5 <> 0) NOT VALID')
  await sendEvents(pipeline, range(50_000, 5_000))
  await until('some are dead-lettered', async () => (await healthOf(sink)).total_dead > total_dead)
  await pipeline.query('ALTER TABLE events ADD CONSTRAINT nothing CHECK (false) NOT VALID')
  assert.equal((await pausedBy(sink, /rows were refused \(nothing, 23514\)/)).needs_person, true)
  await pipeline.query('ALTER TABLE events DROP CONSTRAINT nothing')
  await assertDrained(pipeline, sink)
  await pipeline.query('ALTER TABLE events DROP CONSTRAINT no_fives')
  assert.equal((await healthOf(sink)).total_dead - total_dead, 1_000)
  assert.deepEqual(await pipeline.query(`SELECT 1 FROM dead_letters WHERE message LIKE '%nothing%'`), [])
})

/** Each row takes this many seconds. */
async function slowTrigger(seconds: string): Promise<void> {
  await pipeline.query(`
    CREATE OR REPLACE FUNCTION slow() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN PERFORM pg_sleep(${seconds}); RETURN NEW; END $$;
    CREATE TRIGGER slow BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION slow()`)
}
