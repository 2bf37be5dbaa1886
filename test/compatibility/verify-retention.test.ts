import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { after, afterEach, test } from 'node:test'
import pg from 'pg'
import { moveRows } from '../../maintenance/move-rows.ts'
import { attachLeaf, createLeaf, isIn, leafTable, readLeafModel } from '../../postgres/partitions/leaf.ts'
import { rangeAt, UNIT_MS } from '../../postgres/partitions/ranges.ts'
import { type Verdict, verify, type VerifyOptions } from '../../tools/verify/verify.ts'
import { DeadLetterBench } from '../support/dead-letters.ts'
import { idAt } from '../support/ids.ts'
import { record } from '../support/records.ts'
import { runFirehose } from '../support/run-firehose.ts'
import { caughtUp, storedRows } from '../support/sink-health.ts'
import { until } from '../support/until.ts'

/* verify tells what maintenance has deleted from what is lost, and finds what it moves meanwhile. */

const bench = await DeadLetterBench.open()
const { pipeline, sink } = bench
after(async () => await pipeline.close())
afterEach(async () => await bench.clear())

const DAYS = 30
const BEFORE = Date.now() - (DAYS + 1) * UNIT_MS.day
/** Two events received before the retention, and one within it. */
const OLD = [1, 2].map((n) => event(n, BEFORE))
const YOUNG = event(3, BEFORE + 2 * UNIT_MS.day)

function event(n: number, receivedMs: number): string {
  return record(n, { event_id: idAt(receivedMs, n), received_at: new Date(receivedMs).toISOString() })
}

const idOf = (text: string): string => (JSON.parse(text) as { event_id: string }).event_id

async function store(...texts: string[]): Promise<void> {
  await bench.send(...texts)
  await storedRows(pipeline, texts.length)
  await caughtUp(sink)
}

async function forget(...texts: string[]): Promise<void> {
  await pipeline.query('DELETE FROM events WHERE event_id = ANY($1::uuid[])', [texts.map(idOf)])
}

async function check(options: Partial<VerifyOptions>, ...acked: string[]): Promise<Verdict> {
  const ackedFile = pipeline.path('acked.tsv')
  writeFileSync(ackedFile, acked.map((body) => `${idOf(body)}\t${body}\n`).join(''))
  return await verify({
    databaseUrl: pipeline.backend.postgres.url,
    kafkaBootstrapServers: pipeline.backend.kafka.bootstrapServers,
    topic: 'events',
    groupId: pipeline.groupId,
    ackedFile,
    ...options,
  })
}

test('an acknowledged event is MISSING if Kafka has all records and none of it, however old its id is', async () => {
  await store(YOUNG)
  const { acked_missing_count, acked_past_retention } = await check({ retentionDays: DAYS }, ...OLD)
  assert.deepEqual(
    { acked_missing_count, acked_past_retention },
    { acked_missing_count: 2, acked_past_retention: 0 },
  )
})

test('events received before the retention are past it if they are in no table; younger ones are MISSING', async () => {
  await store(...OLD, YOUNG)
  await forget(...OLD)
  const kept = await check({ retentionDays: DAYS }, ...OLD, YOUNG)
  assert.deepEqual([kept.ok, kept.records, kept.stored, kept.past_retention], [true, 3, 1, 2])
  assert.deepEqual([kept.acked_stored, kept.acked_past_retention, kept.missing_from], [1, 2, []])

  await forget(YOUNG)
  const lost = await check({ retentionDays: DAYS }, ...OLD, YOUNG)
  assert.deepEqual(
    [lost.ok, lost.past_retention, lost.missing.map((each) => each.event_id)],
    [false, 2, [idOf(YOUNG)]],
  )
  assert.deepEqual([lost.acked_past_retention, lost.acked_missing_count], [2, 1])

  const forever = await check({}, ...OLD, YOUNG)
  assert.deepEqual([forever.past_retention, forever.missing_count, forever.acked_missing_count], [0, 3, 3])
  const later = await check({ retentionDays: DAYS, now: new Date(Date.now() + 9 * UNIT_MS.day) })
  assert.deepEqual([later.ok, later.past_retention], [true, 3])
})

test('an acknowledged event whose record has expired is past the retention by the time in its id', async () => {
  const random = record(4, { event_id: 'c0ffee00-0000-4000-8000-000000000000' })
  await store(YOUNG)
  await bench.forgetRecordsBefore('-1')
  await forget(YOUNG)
  const { acked_past_retention, acked_missing } = await check({ retentionDays: DAYS }, ...OLD, YOUNG, random)
  assert.equal(acked_past_retention, 2)
  assert.deepEqual(
    acked_missing.map(({ event_id }) => event_id),
    [idOf(YOUNG), idOf(random)],
  )
})

test('the command takes the retention from the environment, and prints what is past it', async () => {
  await store(...OLD)
  await forget(...OLD)
  const { code, out } = await runFirehose({ ...pipeline.env, EVENTS_RETENTION_DAYS: String(DAYS) }, 'verify')
  assert.equal(code, 0, out)
  assert.match(out, /^ {2}past retention +2$/m)
  const wrong = await runFirehose({ ...pipeline.env, EVENTS_RETENTION_DAYS: '0' }, 'verify')
  assert.equal(wrong.code, 78)
  assert.match(wrong.err, /EVENTS_RETENTION_DAYS must be/)
})

test('a letter that was discarded and then deleted is past the retention; without that, or too soon, it is MISSING', async () => {
  await bench.send('no JSON')
  await bench.letters(1)
  assert.equal((await bench.dlq('discard', '--why', 'a test', '--yes')).code, 0)
  await pipeline.query('DELETE FROM dead_letters')
  const now = new Date(Date.now() + 31 * UNIT_MS.day)
  const gone = await check({ deadLetterDays: DAYS, now })
  assert.deepEqual([gone.ok, gone.past_retention], [true, 1])
  for (const options of [{ deadLetterDays: DAYS }, { now }, { retentionDays: 1, now }]) {
    const { missing_count } = await check(options)
    assert.equal(missing_count, 1)
  }
})

test('a letter that was replayed under a new id and then deleted counts as stored', async () => {
  const other = record(3, { ...JSON.parse(YOUNG), metadata: { other: true } })
  await store(YOUNG)
  await bench.send(other)
  await bench.letters(1)
  assert.equal((await bench.dlq('replay', '--new-id', '--yes')).code, 0)
  await pipeline.query('DELETE FROM dead_letters')
  const { ok, stored, different_count, acked_stored } = await check(
    { deadLetterDays: DAYS, now: new Date(Date.now() + 31 * UNIT_MS.day) },
    YOUNG,
    other,
  )
  assert.deepEqual(
    { ok, stored, different_count, acked_stored },
    { ok: true, stored: 2, different_count: 0, acked_stored: 2 },
  )
})

/** Looks while maintenance moves the row of an event to a new partition, and has to wait for it. */
async function whileMoving<T>(stray: string, daysAhead: number, look: () => Promise<T>): Promise<T> {
  const day = rangeAt('day', Date.now() + daysAhead * UNIT_MS.day)
  const db = new pg.Client({ connectionString: pipeline.backend.postgres.url })
  await db.connect()
  try {
    await db.query(
      'BEGIN; LOCK TABLE ONLY events_era IN SHARE UPDATE EXCLUSIVE MODE; LOCK TABLE ONLY events_stray',
    )
    const model = await readLeafModel(db, 'events_stray')
    for (const statement of createLeaf(day, model, 'immediate')) await db.query(statement)
    const move = {
      from: 'events_stray',
      to: leafTable(day, model),
      where: isIn(day),
      between: async () => void (await db.query(attachLeaf(day, model))),
    }
    assert.equal(await moveRows(db, move), 1, stray)
    const found = look()
    await until('verify waits for the move', async () => {
      const [row] = await pipeline.query<{ waits: boolean }>(
        `SELECT bool_or(wait_event_type = 'Lock') AS waits FROM pg_stat_activity WHERE application_name = 'firehose-verify'`,
      )
      return row?.waits
    })
    await db.query('COMMIT')
    return await found
  } finally {
    await db.end()
  }
}

test('I11: verify finds rows that maintenance moves to a new partition meanwhile', async () => {
  const stray = event(5, Date.now() + 60 * UNIT_MS.day)
  await store(stray)
  const verdict = await whileMoving(stray, 60, async () => await check({}))
  const { ok, stored, missing } = verdict
  assert.deepEqual({ ok, stored, missing }, { ok: true, stored: 1, missing: [] })
})
