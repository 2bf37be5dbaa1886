import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { startPostgres } from '../../tools/stack/backends.ts'
import { Maintained, textsOf } from '../support/maintained.ts'
import { until } from '../support/until.ts'

let server: Awaited<ReturnType<typeof startPostgres>>

before(async () => {
  server = await startPostgres()
})
after(async () => {
  await server?.close()
})

const create = async (name: string, change = {}): Promise<Maintained> =>
  await Maintained.create(server.postgres.url, name, change)

test('a day later: one leaf more, one closed; the same run again does nothing', async () => {
  const table = await create('one_day')
  await table.store(15, 1)
  await table.store(0, 2)
  const planned = await table.maintain(1, { dryRun: true })
  assert.deepEqual(textsOf(planned.actions, 'made'), [
    `${table.leaf(15)} would be made, with 1 row from events_stray.`,
  ])
  assert.equal(planned.ahead, 13)
  await table.store(15, 1)
  const done = await table.maintain(1)
  assert.deepEqual(textsOf(done.actions, 'made'), [
    `${table.leaf(15)} was made, with 2 rows from events_stray.`,
  ])
  assert.ok(
    textsOf(done.actions, 'closed').includes(`${table.leaf(0)} was closed: 2 rows, vacuumed and frozen.`),
  )
  assert.deepEqual(
    { ...done, actions: [] },
    { outcome: 'done', actions: [], leaves: 17, ahead: 14, layout: 'tree', refusesSinks: false },
  )
  assert.deepEqual((await table.maintain(1)).actions, [])
  assert.equal(await table.rowsOf(table.leaf(15)), 2)
  assert.equal(await table.lost(), 0)
})

test('20 days without maintenance: the leaves of those days and ahead exist again, and no event is lost', async () => {
  const table = await create('twenty_days')
  for (let day = 1; day <= 20; day++) await table.store(day, 10)
  await table.store(19, 10_000)
  const { actions, ahead, leaves } = await table.maintain(20)
  assert.equal(ahead, 14)
  assert.equal(leaves, 2 + 20 + 14 - 1)
  assert.deepEqual(textsOf(actions, 'problem'), [])
  assert.equal(await table.rowsOf('events_stray'), 10_010)
  assert.equal(await table.rowsOf(table.leaf(20)), 10)
  assert.equal(await table.lost(), 0)
  assert.deepEqual((await table.maintain(20)).actions, [])
})

test('a clock that is a year ahead for a moment leaves no partition of the days between', async () => {
  const table = await create('year_ahead')
  assert.equal((await table.maintain(365)).leaves, 16 + 15)
  const { ahead, leaves } = await table.maintain(1)
  assert.equal(ahead, 14)
  assert.equal(leaves, 16 + 15 + 1)
})

test('a range that has come and has many strays gets no leaf, and maintenance says so', async () => {
  const table = await create('many_strays')
  await table.store(16, 10_001)
  const { actions, ahead } = await table.maintain(16)
  assert.deepEqual(textsOf(actions, 'problem'), [
    `${table.leaf(16)} was not made: more than 10,000 rows of it are in events_stray, where its events stay.`,
  ])
  assert.equal(ahead, 14)
  assert.equal(await table.lost(), 0)
})

test('strays that take too long to move stay where they are, and keep no other range from its leaf', async () => {
  const table = await Maintained.create(server.postgres.url, 'heavy')
  await table.query('ALTER TABLE events ALTER COLUMN metadata SET STORAGE EXTERNAL') // as if it could not be compressed
  await table.store(16, 2_000, `jsonb_build_object('text', repeat('x', 130000))`)
  await table.store(17, 3)
  const { actions, ahead } = await table.maintain(4)
  assert.deepEqual(textsOf(actions, 'problem'), [
    `${table.leaf(16)} was not made: moving its rows from events_stray takes too long, so they stay there.`,
  ])
  assert.equal(ahead, 11)
  assert.deepEqual(textsOf(actions, 'made').toSorted(), [
    `${table.leaf(15)} was made.`,
    `${table.leaf(17)} was made, with 3 rows from events_stray.`,
    `${table.leaf(18)} was made.`,
  ])
  assert.equal(await table.lost(), 0)
})

test('the name of a leaf is taken: maintenance says so, and the remedy helps', async () => {
  const table = await create('taken')
  await table.query(`CREATE TABLE ${table.leaf(15)} (mine int)`)
  const [text = ''] = textsOf((await table.maintain(1)).actions, 'problem')
  assert.match(text, /^events_\d{8} was not made: another table has this name\. Rename it: ALTER TABLE /)
  await table.query(/ALTER TABLE[^;]+;/.exec(text)?.[0] ?? '')
  const { actions, ahead } = await table.maintain(1)
  assert.deepEqual(textsOf(actions, 'problem'), [])
  assert.equal(ahead, 14)
})

test('EVENTS_PARTITION from day to hour and back: no gap', async () => {
  const table = await create('units')
  const policy = { ...table.policy, unit: 'hour' as const }
  assert.equal((await table.maintain(1, { policy })).ahead, 13 * 24 + 11)
  assert.equal((await table.maintain(13, { policy })).ahead, 48)
  assert.equal((await table.maintain(13)).ahead, 14)
  for (let day = 0; day <= 27; day++) await table.store(day, 1)
  assert.equal(await table.rowsOf('events_stray'), 0)
  assert.equal(await table.lost(), 0)
})

test('at the end of the era, maintenance says where events go', async () => {
  const table = await create('era')
  const days = 20 * 365
  await table.query('DELETE FROM events')
  const { actions } = await table.maintain(days, { dryRun: true })
  assert.match(
    textsOf(actions, 'problem').join(),
    /The partitions of "events" end at \d{4}-\d\d-\d\dT00:00:00\.000Z: later events go to events_other/,
  )
})

test('a leaf is like events and events_stray: columns, keys, triggers, parameters, replica identity, owner', async () => {
  const table = await create('model')
  await table.query(`
    CREATE ROLE owner_of_model; GRANT CREATE ON SCHEMA public TO owner_of_model;
    CREATE TABLE users (id bigint PRIMARY KEY); INSERT INTO users SELECT generate_series(1, 100);
    CREATE TABLE seen (id uuid);
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO seen VALUES (coalesce(new.event_id, old.event_id)); RETURN NULL; END $$;
    ALTER TABLE events ADD COLUMN day date GENERATED ALWAYS AS (("timestamp" AT TIME ZONE 'UTC')::date) STORED NOT NULL;
    ALTER TABLE events ADD COLUMN tenant text DEFAULT 'ours' CHECK (tenant <> '');
    ALTER TABLE events ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY;
    ALTER TABLE events ADD FOREIGN KEY (user_id) REFERENCES users DEFERRABLE INITIALLY DEFERRED;
    CREATE TRIGGER noted AFTER INSERT OR DELETE ON events FOR EACH ROW EXECUTE FUNCTION note();
    CREATE INDEX ON events (tenant, "timestamp");
    ALTER TABLE events_stray SET (fillfactor = 90, autovacuum_vacuum_insert_scale_factor = 0.5, toast.autovacuum_enabled = off);
    ALTER TABLE events_stray REPLICA IDENTITY FULL`)
  await table.store(15, 3)
  const stored = await table.query('SELECT event_id, day, tenant, number FROM events ORDER BY 1')
  await table.query(
    'ALTER TABLE events OWNER TO owner_of_model; ALTER TABLE events_stray OWNER TO owner_of_model; GRANT SELECT, REFERENCES ON users TO owner_of_model',
  )
  const { actions } = await table.maintain(1)
  assert.deepEqual(textsOf(actions, 'problem'), [])
  const leaf = table.leaf(15)
  assert.equal(await table.rowsOf(leaf), 3)
  assert.deepEqual(await table.query('SELECT event_id, day, tenant, number FROM events ORDER BY 1'), stored)
  assert.equal(await table.rowsOf('seen'), 3, 'only the INSERT of each event fired the trigger')
  const like = async (name: string): Promise<unknown> =>
    await table.query(`SELECT c.reloptions, t.reloptions AS toast, c.relreplident, c.relowner::regrole::text AS owner,
      (SELECT array_agg(conname::text || pg_get_constraintdef(oid) ORDER BY conname) FROM pg_constraint WHERE conrelid = c.oid AND contype <> 'p') AS constraints,
      (SELECT array_agg(tgname::text || tgenabled::text) FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal) AS triggers,
      (SELECT array_agg(replace(pg_get_indexdef(indexrelid), c.relname, '') ORDER BY replace(pg_get_indexdef(indexrelid), c.relname, '')) FROM pg_index WHERE indrelid = c.oid) AS indexes,
      (SELECT array_agg(attname::text || attidentity::text || attgenerated::text || attnotnull ORDER BY attnum) FROM pg_attribute WHERE attrelid = c.oid AND attnum > 0) AS columns
      FROM pg_class AS c LEFT JOIN pg_class AS t ON t.oid = c.reltoastrelid WHERE c.oid = '${name}'::regclass`)
  assert.deepEqual(await like(leaf), await like('events_stray'))
  await table.query(
    `INSERT INTO events (event_id, user_id, "timestamp", metadata, received_at) SELECT gen_random_uuid(), 1, now(), '{}', now()`,
  )
})

test('tables in a schema of their own, whose name needs quotes', async () => {
  const table = await create('quoted')
  await table.query(
    'ALTER SCHEMA public RENAME TO "My Schema"; ALTER DATABASE quoted SET search_path = "My Schema"',
  )
  await table.store(15, 2)
  const { actions, ahead } = await table.maintain(1)
  assert.deepEqual(textsOf(actions, 'problem'), [])
  assert.equal(ahead, 14)
  assert.equal(await table.rowsOf(table.leaf(15)), 2)
  assert.deepEqual((await table.maintain(1)).actions, [])
})

test('an index of events like a user index: no leaf has two', async () => {
  const table = await create('own_index')
  await table.query(`CREATE INDEX mine ON events (user_id, "timestamp")`)
  await table.maintain(1)
  const own = `SELECT count(*)::int FROM pg_index WHERE indrelid = '${table.leaf(15)}'::regclass AND pg_get_indexdef(indexrelid) LIKE '%(user_id,%'`
  assert.equal(await table.value(own), 1)
  const deferred = { ...table.policy, userIndex: 'deferred' as const }
  const { actions } = await table.maintain(2, { policy: deferred })
  assert.deepEqual(textsOf(actions, 'problem'), [])
})

test('from immediate to deferred and back: empty leaves ahead lose their user indexes, and get them again', async () => {
  const table = await create('times')
  await table.store(3, 1)
  const indexed = async (): Promise<number[]> =>
    await Promise.all(
      [0, 3, 4].map(async (day) =>
        Number(
          await table.value(
            `SELECT count(*)::int FROM pg_index WHERE indrelid = '${table.leaf(day)}'::regclass`,
          ),
        ),
      ),
    )
  assert.deepEqual(await indexed(), [5, 5, 5])
  const { actions } = await table.maintain(0, { policy: { ...table.policy, userIndex: 'deferred' } })
  assert.deepEqual(await indexed(), [5, 5, 3])
  assert.deepEqual(textsOf(actions, 'indexed'), [], 'what was dropped does not count as built')
  await table.maintain(0)
  assert.deepEqual(await indexed(), [5, 5, 5])
})

test('statistics of the whole tree are renewed once', async () => {
  const table = await create('statistics')
  await table.store(0, 100)
  assert.deepEqual(textsOf((await table.maintain(0)).actions, 'analyzed'), [
    'The statistics of "events" were renewed.',
  ])
  assert.equal(await table.value(`SELECT reltuples::int FROM pg_class WHERE relname = 'events'`), 100)
  assert.deepEqual(textsOf((await table.maintain(0)).actions, 'analyzed'), [])
})

test('a role that is not the owner: each step says so', async () => {
  const table = await create('stranger')
  await table.query(
    `CREATE ROLE stranger LOGIN PASSWORD 'secret'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO stranger`,
  )
  const url = new URL(table.url)
  url.username = 'stranger'
  url.password = 'secret'
  const { actions } = await table.maintain(1, { connectionString: url.href })
  const texts = textsOf(actions, 'problem').join('\n')
  assert.match(
    texts,
    /^events_\d{8} was not made: .*42501.*: run "npx firehose maintain" as the owner of "events"\.$/m,
  )
  assert.match(
    texts,
    /^events_\d{8} was not closed: permission denied.*Run "npx firehose maintain" as the owner of "events"\.$/m,
  )
  assert.deepEqual(textsOf(actions, 'closed'), [])
  assert.deepEqual(textsOf((await table.maintain(1)).actions, 'problem'), [])
})

for (const [setting, error] of [
  ['statement_timeout', /canceling statement due to statement timeout \(57014\): it was cancelled/],
  ['transaction_timeout', /terminating connection due to transaction timeout \(25P04\): it took too long/],
] as const)
  test(`the ${setting} of the role ends a VACUUM: maintenance says so, and the remedy helps`, async () => {
    const table = await create(`impatient_${setting}`)
    const holder = new pg.Client({ connectionString: table.url })
    await holder.connect()
    await holder.query(`BEGIN; LOCK TABLE ONLY ${table.leaf(0)} IN SHARE UPDATE EXCLUSIVE MODE`)
    await table.query(`ALTER ROLE firehose IN DATABASE impatient_${setting} SET ${setting} = 1000`)
    const [text = ''] = textsOf((await table.maintain(1)).actions, 'problem')
    assert.match(text, /^events_\d{8} was not closed: /)
    assert.match(text, error)
    const remedy = /ALTER ROLE [^)]+/.exec(text)?.[0] ?? ''
    await table.query(remedy.replace('...', `firehose IN DATABASE impatient_${setting}`))
    const run = table.maintain(1)
    await until(
      'VACUUM waits',
      async () => (await table.query('SELECT FROM pg_locks WHERE NOT granted')).length > 0,
    )
    await holder.end()
    assert.deepEqual(textsOf((await run).actions, 'problem'), [])
  })

test('a partitioned table that is not ours: the run ends, and says whose it is', async () => {
  const table = await create('not_ours')
  await table.query('ALTER TABLE events DETACH PARTITION events_other')
  await assert.rejects(table.maintain(1), /is partitioned, but not by Firehose/)
})
