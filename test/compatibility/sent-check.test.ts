import assert from 'node:assert/strict'
import { after, beforeEach, test } from 'node:test'
import { diagnose } from '../support/diagnosis.ts'
import { DeadLetterBench } from '../support/dead-letters.ts'
import { idOf, record } from '../support/records.ts'
import { runFirehose } from '../support/run-firehose.ts'
import { caughtUp, storedRows } from '../support/sink-health.ts'
import { until } from '../support/until.ts'

/*
 * I2 for tables whose rows a trigger or an UPDATE changes: an event is identified by what was sent, and what was erased
 * stays erased.
 */

const bench = await DeadLetterBench.open()
const { pipeline, sink } = bench
after(async () => await pipeline.close())
beforeEach(async () => {
  await bench.clear()
})

const ADD_KEY = `
  CREATE FUNCTION enrich() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN NEW.metadata := NEW.metadata || '{"region": "eu"}'; RETURN NEW; END $$;
  CREATE TRIGGER enrich BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION enrich()`
const ERASE = `UPDATE events SET metadata = '{}', user_id = 0`

async function duplicates(): Promise<number> {
  return (await caughtUp(sink)).total_duplicates
}

/** Reads everything again, and waits until the sink has. */
async function readAgain(): Promise<void> {
  const [first] = await pipeline.query<{ low: string }>(
    'SELECT min(next_offset) - 5 AS low FROM sink_offsets',
  )
  const before = await duplicates()
  const { code, err } = await runFirehose(pipeline.env, 'rewind', '--to', first?.low ?? '')
  assert.equal(code, 0, err)
  await until('read again', async () => {
    const { dead } = await totals()
    return (await duplicates()) + dead >= before + 5
  })
}

async function totals(): Promise<{ rows: number; dead: number }> {
  return { rows: await pipeline.countEvents(), dead: (await bench.states()).total }
}

const EVENTS = [1, 2, 3, 4, 5]

test('I2: a trigger changes the metadata: a second, identical copy is a duplicate, another content a dead letter', async (t) => {
  await pipeline.query(ADD_KEY)
  t.after(async () => await pipeline.query('DROP TRIGGER enrich ON events; DROP FUNCTION enrich()'))
  const before = await duplicates()
  await bench.send(...EVENTS.map((n) => record(n)))
  await storedRows(pipeline, 5)
  await bench.send(...EVENTS.map((n) => record(n, { received_at: '2026-01-02T09:09:09.000000Z' })))
  await until('duplicates', async () => (await duplicates()) === before + 5)
  await bench.send(record(1, { metadata: { another: true } }))
  await bench.letters(1)
  assert.deepEqual(await pipeline.query('SELECT reason, value IS NULL AS gone FROM dead_letters'), [
    { reason: 'event_id_conflict', gone: false },
  ])
  const { code, out } = await runFirehose(pipeline.env, 'verify', '--json')
  const { changed, different_count } = JSON.parse(out)
  assert.deepEqual({ code, changed, different_count }, { code: 0, changed: 10, different_count: 0 })
})

test('I2: what an UPDATE has erased stays erased when the records are read again; verify counts it as changed', async () => {
  await bench.send(...EVENTS.map((n) => record(n)))
  await storedRows(pipeline, 5)
  await caughtUp(sink)
  await pipeline.query(ERASE)
  await readAgain()
  assert.deepEqual(await totals(), { rows: 5, dead: 0 })
  assert.deepEqual(await pipeline.query(`SELECT 1 FROM events WHERE metadata <> '{}' OR user_id <> 0`), [])
  const { code, out } = await runFirehose(pipeline.env, 'verify')
  assert.match(out, /changed in the database since +5\n/)
  assert.equal(code, 0)
})

test('I2: what was erased stays erased when the type of user_id changes, in both directions', async (t) => {
  const toBigint = 'ALTER TABLE events ALTER COLUMN user_id TYPE bigint USING user_id::bigint'
  t.after(async () => await pipeline.query(toBigint))
  await bench.send(...EVENTS.map((n) => record(n, n > 3 ? { user_id: String(n) } : {})))
  await storedRows(pipeline, 5)
  await caughtUp(sink)
  await pipeline.query(ERASE)
  for (const change of ['ALTER TABLE events ALTER COLUMN user_id TYPE text COLLATE "C"', toBigint]) {
    await pipeline.query(change)
    await readAgain()
    assert.deepEqual(await totals(), { rows: 5, dead: 0 })
    const { code, out } = await runFirehose(pipeline.env, 'verify')
    assert.match(out, /changed in the database since +5\n/)
    assert.equal(code, 0)
  }
})

test('I2: rows from before the column: equal ones are duplicates; of erased ones no copy is kept, only coordinates and digest', async () => {
  await bench.send(...EVENTS.map((n) => record(n)))
  await storedRows(pipeline, 5)
  await caughtUp(sink)
  await pipeline.query('UPDATE events SET sent_check = NULL')
  await pipeline.query(`${ERASE} WHERE event_id = '${idOf(3)}'`)
  await readAgain()
  assert.deepEqual(await totals(), { rows: 5, dead: 1 })
  assert.deepEqual(
    await pipeline.query(
      'SELECT event_id, reason, value, value_sha256 IS NOT NULL AS digest, value_bytes::int FROM dead_letters',
    ),
    [
      {
        event_id: idOf(3),
        reason: 'event_id_conflict',
        value: null,
        digest: true,
        value_bytes: record(3).length,
      },
    ],
  )
  await readAgain() // the letter is there already, and is recognised
  assert.deepEqual(await totals(), { rows: 5, dead: 1 })
  assert.equal((await runFirehose(pipeline.env, 'verify')).code, 0)
})

test('a sink of this version on a database that was not migrated: it names migrate, which cures it', async () => {
  await pipeline.query(
    `ALTER TABLE events DROP COLUMN sent_check; DELETE FROM firehose_migrations WHERE name LIKE '005%'`,
  )
  await bench.send(record(1))
  const health = await until('paused', async () => {
    const found = await sink.health()
    return found?.state === 'paused' ? found : undefined
  })
  assert.match(String(health.reason), /"events" lacks the columns sent_check: run "npx firehose migrate"/)
  const { findings } = await diagnose(pipeline.env, ['--check', 'tables'])
  assert.match(findings.map(({ text }) => text).join(' '), /Migration 005_sent_check.sql was not applied/)
  assert.equal((await runFirehose(pipeline.env, 'migrate')).code, 0)
  await storedRows(pipeline, 1)
})
