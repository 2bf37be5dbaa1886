import assert from 'node:assert/strict'
import { after, before, beforeEach, test } from 'node:test'
import { NIL, v4, v7 } from 'uuid'
import { partitionName, rangeAt, RANGES_AHEAD, UNIT_MS } from '../../postgres/partitions/ranges.ts'
import { DeadLetterBench } from '../support/dead-letters.ts'
import { record } from '../support/records.ts'
import { KEEP_ALL } from '../support/maintained.ts'
import { rehearse } from '../support/rehearsal.ts'
import { sinkCommand } from '../support/sink-command.ts'
import { caughtUp } from '../support/sink-health.ts'
import { assertDrained } from '../support/sink-faults.ts'
import { until } from '../support/until.ts'

/* I6 and I11: what a user does with a partitioned table: constraints, triggers, TRUNCATE, rewind, replay. */

const startMs = Date.now()

let bench: DeadLetterBench
/** Ids for each kind of table: a leaf, one that is made later, events_stray, events_other (a random one, and nil). */
let places: { table: string; id: () => string }[]

before(async () => {
  bench = await DeadLetterBench.open()
  const [now, later, far] = [startMs, startMs + 2 * UNIT_MS.day, startMs + 300 * UNIT_MS.day]
  const aheadMs = later + RANGES_AHEAD.day * UNIT_MS.day
  places = [
    { table: leafAt(now), id: () => v7({ msecs: now }) },
    { table: leafAt(aheadMs), id: () => v7({ msecs: aheadMs }) },
    { table: 'events_stray', id: () => v7({ msecs: far }) },
    { table: 'events_other', id: () => `f${v4().slice(1)}` },
  ]
})
beforeEach(async () => await bench.clear())
after(async () => {
  await bench?.pipeline.close()
})

const USERS = `
  ALTER TABLE events ADD CONSTRAINT mine CHECK (user_id <> 666);
  CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF NEW.user_id = 13 THEN RAISE check_violation USING MESSAGE = 'not this user'; END IF;
    RETURN NEW; END $$;
  CREATE TRIGGER refuse BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION refuse()`

test('I6: a CHECK and a trigger of the user that raises a check_violation hold in every leaf, also one made later', async () => {
  const { pipeline } = bench
  await pipeline.query(USERS)
  await maintain(2)
  await bench.send(...places.flatMap(({ id }) => [1, 13, 666].map((user) => event(id(), user))))
  await bench.letters(2 * places.length)
  const letters = await pipeline.query<{ reason: string; message: string }>(
    'SELECT reason, message FROM dead_letters',
  )
  for (const { reason, message } of letters) {
    assert.equal(reason, 'constraint')
    assert.match(message, /^Refused by mine: .*"mine"|^not this user \(23514\)$/)
  }
  assert.deepEqual(
    await counts(),
    places.map(() => 1),
  )

  await pipeline.query('ALTER TABLE events DROP CONSTRAINT mine; DROP TRIGGER refuse ON events')
  const { code, err } = await bench.dlq('replay', '--yes')
  assert.equal(code, 0, err)
  assert.deepEqual(
    await counts(),
    places.map(() => 3),
    'each replayed event is where its id belongs',
  )
  assert.deepEqual(await bench.states(), { total: 8, open: 0, replayed: 8, discarded: 0 })
})

test('I6: a trigger of the user that has no partition of its own table for an event: that event is a dead letter', async () => {
  const { pipeline } = bench
  await pipeline.query(`
    CREATE TABLE audit (event_id uuid, user_id bigint) PARTITION BY LIST (user_id);
    CREATE TABLE audit_1 PARTITION OF audit FOR VALUES IN (1);
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
      INSERT INTO audit VALUES (NEW.event_id, NEW.user_id);
      RETURN NEW; END $$;
    CREATE TRIGGER note AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION note()`)
  await bench.send(...places.flatMap(({ id }) => [1, 2].map((user) => event(id(), user))))
  await bench.letters(places.length)
  const letters = await pipeline.query<{ message: string }>('SELECT DISTINCT message FROM dead_letters')
  assert.deepEqual(letters, [{ message: 'no partition of relation "audit" found for row (23514)' }])
  assert.deepEqual(
    await counts(),
    places.map(() => 1),
  )
  await pipeline.query('DROP TRIGGER note ON events; DROP FUNCTION note; DROP TABLE audit')
})

test('I2: after TRUNCATE the leaves take rows as before, and rewind brings back those that Kafka still has', async () => {
  const { pipeline, sink } = bench
  const sent = places.flatMap(({ id }) => [id(), id()])
  await bench.send(...sent.map((id) => event(id, 1)), event(NIL, 1))
  await until('stored', async () => (await pipeline.countEvents()) === sent.length + 1)
  await pipeline.query('TRUNCATE events')
  await bench.send(...places.map(({ id }) => event(id(), 2)))
  await until('stored', async () => (await pipeline.countEvents()) === places.length)
  await sinkCommand(pipeline.env, 'rewind', '--to-time', new Date(startMs).toISOString())
  await until('stored again', async () => (await pipeline.countEvents()) === sent.length + 1 + places.length)
  await caughtUp(sink)
  await assertDrained(pipeline, sink)
})

test('I11: rewind over events that retention has deleted: they are in events_stray, until its next run deletes them again', async () => {
  const { pipeline, sink } = bench
  const ids = Array.from({ length: 20 }, () => v7({ msecs: startMs }))
  await bench.send(...ids.map((id) => event(id, 1)))
  await until('stored', async () => (await pipeline.countEvents()) === ids.length)
  const dropped = await maintain(10, 5)
  assert.ok(dropped.includes('dropped'))
  assert.equal(await pipeline.countEvents(), 0)
  await sinkCommand(pipeline.env, 'rewind', '--to-time', new Date(startMs).toISOString())
  await until('stored again', async () => (await pipeline.countEvents()) === ids.length)
  await caughtUp(sink)
  const stray = await pipeline.query('SELECT FROM events_stray')
  assert.equal(stray.length, ids.length)
  assert.ok((await maintain(10, 5)).includes('deleted')) // perhaps also 'analyzed', by PostgreSQL's counts
  assert.equal(await pipeline.countEvents(), 0)
})

function event(id: string, userId: number): string {
  return record(0, { event_id: id, user_id: userId })
}

function leafAt(ms: number): string {
  return partitionName(rangeAt('day', ms))
}

/** Runs maintenance as if it were some days later. @returns the kinds of its actions */
async function maintain(days: number, retentionDays?: number): Promise<string[]> {
  const rehearsal = {
    connectionString: bench.pipeline.backend.postgres.url,
    policy: { ...KEEP_ALL, retentionDays },
    nowMs: startMs + days * UNIT_MS.day,
  }
  const { actions } = await rehearse(rehearsal)
  const kinds = actions.map(({ kind }) => kind)
  assert.ok(!kinds.includes('problem'), JSON.stringify(actions))
  return kinds
}

/** The rows in each of the places. */
async function counts(): Promise<number[]> {
  return await Promise.all(
    places.map(async ({ table }) => {
      const [row] = await bench.pipeline.query<{ count: number }>(
        `SELECT count(*)::int AS count FROM ${table}`,
      )
      return row?.count ?? 0
    }),
  )
}
