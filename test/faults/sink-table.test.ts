import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { NodeService } from '../../embedded/node-service.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { idOf } from '../support/records.ts'
import {
  assertDrained,
  healthOf,
  leastPrivilegedUrl,
  pausedBy,
  postEvents,
  range,
  sendEvents,
  SHORT_TIMEOUTS,
} from '../support/sink-faults.ts'

/*
 * I6: changes to the table, the privileges and the role while the sink runs. Altered types (jsonb to text, bigint to int),
 * a CHECK, and row triggers that refuse or keep out rows: test/integration/dead-letters.test.ts.
 */

let pipeline: Pipeline
let api: NodeService
let sink: NodeService
let next = 0

before(async () => {
  pipeline = await Pipeline.start({ KAFKA_TOPIC_PARTITIONS: '1', ...SHORT_TIMEOUTS })
  api = await pipeline.startApi()
  sink = await pipeline.startSink({ DATABASE_URL: await leastPrivilegedUrl(pipeline) })
})
after(async () => {
  await pipeline?.close()
})

const REFUSE_ALL = `
  CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION 'closed for today'; END $$;
  CREATE TRIGGER refuse BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION refuse()`

/** The damage, the reason that the sink then reports, and the repair. */
const damages: [what: string, damage: string, reason: RegExp, repair: string][] = [
  [
    'a column is renamed',
    'ALTER TABLE events RENAME user_id TO uid',
    /"events" lacks the columns user_id: run/,
    'ALTER TABLE events RENAME uid TO user_id',
  ],
  [
    'a column is dropped',
    'ALTER TABLE events DROP COLUMN received_at',
    /"events" lacks the columns received_at: run .*; if they were dropped since, ALTER TABLE events ADD COLUMN "received_at" /,
    `ALTER TABLE events ADD COLUMN received_at timestamptz NOT NULL DEFAULT now();
     ALTER TABLE events ALTER received_at DROP DEFAULT`,
  ],
  [
    'a timestamptz becomes a timestamp',
    `DROP INDEX events_timestamp_idx; ALTER TABLE events ALTER "timestamp" TYPE timestamp USING "timestamp" AT TIME ZONE 'UTC'`,
    /columns of "events" are \(.*timestamp timestamp without time zone.*\), expected .*; restore/,
    `ALTER TABLE events ALTER "timestamp" TYPE timestamptz USING "timestamp" AT TIME ZONE 'UTC'`,
  ],
  [
    'the table is renamed',
    'ALTER TABLE events RENAME TO events_2026',
    /the table "events" does not exist: rename it back/,
    'ALTER TABLE events_2026 RENAME TO events',
  ],
  [
    'the INSERT privilege is revoked',
    'REVOKE INSERT ON events FROM firehose_sink',
    /the role firehose_sink lacks INSERT on events: GRANT INSERT ON events TO firehose_sink;/,
    'GRANT INSERT ON events TO firehose_sink',
  ],
  [
    'the UPDATE privilege on the offsets is revoked',
    'REVOKE UPDATE ON sink_offsets FROM firehose_sink',
    /the role firehose_sink lacks UPDATE on sink_offsets: GRANT UPDATE ON sink_offsets TO firehose_sink;/,
    'GRANT UPDATE ON sink_offsets TO firehose_sink',
  ],
  [
    'the TEMPORARY privilege is revoked, and a duplicate arrives',
    'REVOKE TEMPORARY ON DATABASE firehose FROM firehose_sink; REVOKE TEMPORARY ON DATABASE firehose FROM PUBLIC',
    /the role firehose_sink lacks TEMPORARY on database firehose: GRANT TEMPORARY ON DATABASE firehose TO firehose_sink;/,
    'GRANT TEMPORARY ON DATABASE firehose TO firehose_sink',
  ],
  [
    'a deferrable unique constraint is added, and a duplicate arrives',
    'ALTER TABLE events ADD CONSTRAINT one_each UNIQUE (event_id, user_id) DEFERRABLE INITIALLY DEFERRED',
    /ON CONFLICT does not support deferrable unique constraints.* \(55000\): make the unique constraints/,
    'ALTER TABLE events DROP CONSTRAINT one_each',
  ],
  [
    "the role's password is changed",
    `BEGIN; ALTER ROLE firehose_sink PASSWORD 'another'; COMMIT;
     SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'firehose_sink'`,
    /password authentication failed for user "firehose_sink" \(28P01\): .*DATABASE_URL/,
    `ALTER ROLE firehose_sink PASSWORD 'secret'`,
  ],
  [
    'a NOT NULL column without a default is added',
    `ALTER TABLE events ADD COLUMN country text NOT NULL DEFAULT 'unknown'; ALTER TABLE events ALTER country DROP DEFAULT`,
    /rows were refused \(23502\), so nothing is dead-lettered: fix/,
    `ALTER TABLE events ALTER country SET DEFAULT 'nowhere'`,
  ],
  [
    'a trigger raises for every row',
    REFUSE_ALL,
    /rows were refused \(P0001\), so nothing is dead-lettered: fix/,
    'DROP TRIGGER refuse ON events',
  ],
  [
    'a trigger function has a bug',
    `CREATE FUNCTION broken() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.no_such := 1; RETURN NEW; END $$;
     CREATE TRIGGER broken BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION broken()`,
    /record "new" has no field "no_such" \(42703\): run .* or fix the trigger/,
    'DROP TRIGGER broken ON events',
  ],
]

for (const [what, damage, reason, repair] of damages) {
  test(`I6: ${what}: the API accepts events, the sink needs an operator and dead-letters nothing; once fixed, all is stored once`, async () => {
    const { total_dead } = await healthOf(sink)
    const events = take(35)
    const [first = 0] = events
    await pipeline.query(damage)
    try {
      // If a duplicate is needed, the last stored event is sent again, so the batch takes the staged path.
      await postEvents(api, [...(what.includes('duplicate') ? [first - 1] : []), ...events.slice(0, 30)])
      const paused = await pausedBy(sink, reason)
      assert.equal(paused.needs_person, true)
      await postEvents(api, events.slice(30))
      const table = what === 'the table is renamed' ? 'events_2026' : 'events'
      assert.deepEqual(await pipeline.query(`SELECT 1 FROM ${table} WHERE event_id = $1`, [idOf(first)]), [])
    } finally {
      await pipeline.query(repair)
    }
    await assertDrained(pipeline, sink)
    assert.equal((await healthOf(sink)).total_dead, total_dead)
    assert.equal(await pipeline.countEvents(), next)
  })
}

test('I6: one row violates a deferred foreign key: only it is dead-lettered, although the error comes with COMMIT', async () => {
  const events = take(30)
  const bad = events[7] ?? -1
  await pipeline.query(`
    CREATE TABLE users (user_id bigint PRIMARY KEY);
    INSERT INTO users SELECT n FROM generate_series(0, 100000) AS n WHERE n <> ${bad};
    GRANT SELECT ON users TO firehose_sink;
    ALTER TABLE events ADD CONSTRAINT known_user FOREIGN KEY (user_id) REFERENCES users DEFERRABLE INITIALLY DEFERRED`)
  await sendEvents(pipeline, events)
  await assertDrained(pipeline, sink)
  await pipeline.query('ALTER TABLE events DROP CONSTRAINT known_user')
  assert.equal(await pipeline.countEvents(), next - 1)
  const dead = await pipeline.query('SELECT event_id, sqlstate, message FROM dead_letters')
  assert.deepEqual(
    dead.map(({ event_id, sqlstate }) => [event_id, sqlstate]),
    [[idOf(bad), '23503']],
  )
  assert.match(String(dead[0]?.message), /known_user/)
})

/** The next `count` events. */
function take(count: number): number[] {
  const events = range(next, count)
  next += count
  return events
}
