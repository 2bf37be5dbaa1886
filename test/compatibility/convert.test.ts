import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { databaseTarget } from '../../postgres/database-url.ts'
import { migrate } from '../../postgres/migrate.ts'
import { firstIdAt } from '../../postgres/partitions/ranges.ts'
import { ask } from '../../tools/stack/ask.ts'
import { startPostgres } from '../../tools/stack/backends.ts'
import { type Catalog, catalogOf } from '../support/catalog.ts'
import { addRows, convertAt, oldDatabase, plainDatabase } from '../support/conversions.ts'

/* `firehose maintain --convert`: what the table had before is compared with what the tree has afterwards. */

let server: Awaited<ReturnType<typeof startPostgres>>

before(async () => {
  server = await startPostgres()
  await ask(server.postgres.url, 'CREATE ROLE reader; CREATE ROLE "the writer"; CREATE ROLE keeper')
})
after(async () => {
  await server?.close()
})

/** All that a user may have added. */
const ADDED = `
  CREATE TABLE users (id bigint PRIMARY KEY);
  INSERT INTO users SELECT generate_series(1, 10);
  CREATE FUNCTION tag() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.tag := TG_TABLE_NAME; RETURN NEW; END';
  CREATE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
  ALTER TABLE events ADD COLUMN tag text, ADD COLUMN seq bigserial, ADD COLUMN gone int, ADD COLUMN "Odd Column" int NOT NULL DEFAULT 7,
    ADD COLUMN page text GENERATED ALWAYS AS (metadata->>'page') STORED;
  ALTER TABLE events DROP COLUMN gone;
  ALTER TABLE events ADD CONSTRAINT "Odd Check" CHECK ("Odd Column" > 0), ADD CONSTRAINT not_valid CHECK (page <> 'q') NOT VALID,
    ADD CONSTRAINT of_user FOREIGN KEY (user_id) REFERENCES users(id) ON DELETE SET NULL DEFERRABLE INITIALLY DEFERRED,
    ADD CONSTRAINT pair UNIQUE (event_id, user_id) WITH (fillfactor = 80) DEFERRABLE;
  CREATE INDEX "By Page" ON events (lower(page)) WHERE page IS NOT NULL;
  CREATE INDEX by_metadata ON events USING gin (metadata jsonb_path_ops) WITH (fastupdate = off);
  CREATE UNIQUE INDEX tagged ON events (event_id) WHERE tag IS NOT NULL;
  CREATE STATISTICS together ON page, user_id FROM events;
  ALTER STATISTICS together SET STATISTICS 300;
  CREATE TRIGGER tag BEFORE INSERT ON events FOR EACH ROW WHEN (NEW.user_id > 0) EXECUTE FUNCTION tag();
  CREATE CONSTRAINT TRIGGER later AFTER INSERT ON events DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION nothing();
  CREATE TRIGGER all_rows AFTER INSERT ON events REFERENCING NEW TABLE AS rows FOR EACH STATEMENT EXECUTE FUNCTION nothing();
  CREATE TRIGGER off AFTER INSERT ON events FOR EACH ROW EXECUTE FUNCTION nothing();
  CREATE TRIGGER replicated AFTER INSERT ON events FOR EACH STATEMENT EXECUTE FUNCTION nothing();
  ALTER TABLE events ENABLE ALWAYS TRIGGER tag, DISABLE TRIGGER off, ENABLE REPLICA TRIGGER replicated;
  GRANT SELECT, INSERT ON events TO "the writer" WITH GRANT OPTION;
  GRANT SELECT (event_id, "Odd Column") ON events TO reader;
  GRANT UPDATE (tag) ON events TO reader WITH GRANT OPTION;
  GRANT SELECT ON events TO PUBLIC;
  REVOKE TRUNCATE ON events FROM keeper;
  CREATE POLICY seen ON events FOR SELECT TO reader USING (EXISTS (SELECT FROM events AS other WHERE other.user_id = events.user_id));
  CREATE POLICY written ON events AS RESTRICTIVE FOR INSERT WITH CHECK (user_id > 0);
  ALTER TABLE events ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
  COMMENT ON TABLE events IS E'the \\\\ table''s';
  COMMENT ON COLUMN events.tag IS 'a tag';
  COMMENT ON INDEX "By Page" IS 'an index';
  COMMENT ON INDEX events_pkey IS 'its index';
  COMMENT ON CONSTRAINT events_pkey ON events IS 'the key';
  COMMENT ON CONSTRAINT "Odd Check" ON events IS 'a check';
  COMMENT ON TRIGGER tag ON events IS 'a trigger';
  COMMENT ON POLICY seen ON events IS 'a policy';
  COMMENT ON STATISTICS together IS 'statistics';
  ALTER TABLE events ALTER COLUMN page SET STATISTICS 500, ALTER COLUMN user_id SET (n_distinct = 1000),
    ALTER COLUMN tag SET STORAGE EXTERNAL, ALTER COLUMN metadata SET COMPRESSION pglz;
  ALTER TABLE events SET (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.01, toast.autovacuum_enabled = false);
  ALTER TABLE events REPLICA IDENTITY FULL;
  ALTER TABLE users OWNER TO keeper;
  ALTER TABLE events OWNER TO keeper;
  ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO reader`

/** Id, tag and page of each row. */
const ROWS = `SELECT md5(string_agg(concat_ws(' ', event_id, tag, page, seq, "Odd Column"), ',' ORDER BY event_id)) AS rows FROM events`

/** Kinds that a partition has by itself, too. */
const OF_PARTITIONS = ['columns', 'statistics_targets', 'triggers', 'storage', 'not_null']

test('all that the table had, the tree has; rows of the era are in it, and partitions take new ones', async () => {
  const url = await plainDatabase(server.postgres.url, 'rich')
  await addRows(url, 500)
  await ask(url, ADDED)
  const inEra = firstIdAt(Date.now() + 3 * 366 * 86_400_000)
  await ask(
    url,
    `INSERT INTO events (event_id, user_id, "timestamp", metadata, received_at) VALUES ('${inEra}', 1, now(), '{"page": "far"}', now())`,
  )
  const old = await catalogOf(url, 'public.events')
  const rows = await ask(url, ROWS)

  const dry = await convertAt(url, { dryRun: true })
  assert.equal(dry.outcome, 'would convert', dry.refused.join('\n'))
  assert.deepEqual(await catalogOf(url, 'public.events'), old, 'a dry run changes nothing')
  for (const name of [
    '"By Page"',
    'tagged',
    '"Odd Check"',
    'of_user',
    'later',
    'seen',
    'together',
    'events_seq_seq',
  ])
    assert.ok(
      dry.done.some((line) => line.includes(` ${name}:`)),
      name,
    )

  const { outcome, refused } = await convertAt(url)
  assert.equal(outcome, 'converted', refused.join('\n'))
  const root = await catalogOf(url, 'public.events')
  assert.deepEqual(comparable(root), comparable(old))
  assert.deepEqual(await ask(url, ROWS), rows)
  const [{ leaf } = { leaf: '' }] = await ask<{ leaf: string }>(
    url,
    `SELECT min(inhrelid::regclass::text) AS leaf FROM pg_inherits WHERE inhparent = 'events_era'::regclass`,
  )
  for (const table of ['events_stray', leaf]) {
    const partition = await catalogOf(url, `public.${table}`)
    for (const kind of OF_PARTITIONS.filter((each) => each !== 'triggers'))
      assert.deepEqual(withoutComments(partition, kind), withoutComments(old, kind), `${table} ${kind}`)
    assert.equal(partition.triggers?.length, 3, table) // those for rows
    assert.equal(partition.indexes?.length, root.indexes!.length + 2, table) // and the user indexes
    assert.deepEqual(
      partition.constraints?.filter((each) => /CHECK|FOREIGN/.test(each)).length,
      root.constraints?.filter((each) => /CHECK|FOREIGN/.test(each)).length,
      table,
    )
  }
  const other = await catalogOf(url, 'public.events_other')
  assert.ok(
    other.grants?.every((line) => line.startsWith(' keeper ')),
    String(other.grants),
  )
  assert.deepEqual(other.policies, [])
  assert.match(other.constraints?.find((line) => line.startsWith('firehose_not_era')) ?? '', /\)\)$/)
  assert.deepEqual(
    await ask(url, `SELECT tableoid::regclass::text AS table FROM events WHERE event_id = '${inEra}'`),
    [{ table: 'events_stray' }],
  )
  await ask(
    url,
    `INSERT INTO events (event_id, user_id, "timestamp", metadata, received_at) VALUES ('${firstIdAt(Date.now() + 2 * 86_400_000)}', 1, now(), '{}', now())`,
  )
  const [added] = await ask<{ tag: string; n: string }>(
    url,
    'SELECT tag, seq AS n FROM events ORDER BY seq DESC LIMIT 1',
  )
  assert.match(added?.tag ?? '', /^events_\d{8}$/)
  assert.equal(Number(added?.n), 502)
  assert.equal((await convertAt(url)).outcome, 'converted', 'again')
})

/** Without what is of single partitions: user indexes, storage. */
function comparable({ indexes = [], constraints = [], ...rest }: Catalog): Catalog {
  return {
    ...rest,
    storage: [],
    indexes: indexes.filter((line) => !/\(\w+_id, "timestamp"\)/.test(line)),
    constraints: constraints.filter((line) => !line.startsWith('firehose_not_era')),
  }
}

/** Those of partitions made by PARTITION OF have no comments. */
function withoutComments(catalog: Catalog, kind: string): string[] {
  return (catalog[kind] ?? []).map((line) => line.replace(/ a tag$/, ''))
}

test('the very first tables: the old BRIN is replaced, missing indexes are built, no other is built under the lock', async () => {
  const url = await oldDatabase(server.postgres.url, 'first', 300)
  const { outcome, done } = await convertAt(url)
  assert.equal(outcome, 'converted')
  assert.equal(done.filter((line) => line.endsWith(' was built.')).length, 3, done.join('\n'))
  const { indexes } = await catalogOf(url, 'public.events')
  assert.equal(indexes?.length, 3)
  assert.equal(indexes.filter((line) => line.includes('timestamptz_minmax_multi_ops')).length, 2)
  const other = await ask<{ name: string }>(
    url,
    `SELECT indexrelid::regclass::text AS name FROM pg_index WHERE indrelid = 'events_other'::regclass ORDER BY 1`,
  )
  assert.deepEqual(
    other.map(({ name }) => name),
    ['anonymous_id_timestamp', 'pkey', 'received_at', 'timestamp', 'user_id_timestamp'].map(
      (name) => `events_other_${name}${name === 'pkey' ? '' : '_idx'}`,
    ),
  )
  assert.deepEqual(await ask(url, 'SELECT count(*)::int AS count FROM events'), [{ count: 300 }])
})

test('another schema, a user_id of type text, hours', async () => {
  await ask(server.postgres.url, 'CREATE DATABASE elsewhere', { limitMs: 30_000 })
  const place = new URL(server.postgres.url)
  place.pathname = '/elsewhere'
  const { url } = databaseTarget({ DATABASE_URL: place.href, DATABASE_SCHEMA: 'MyEvents' })
  await migrate(url, { schema: 'MyEvents', userIdType: 'text', partitioning: 'none' })
  await addRows(url, 50)
  const old = await catalogOf(url, 'events')
  const { outcome } = await convertAt(url, { unit: 'hour' })
  assert.equal(outcome, 'converted')
  assert.deepEqual(comparable(await catalogOf(url, 'events')), comparable(old))
  const places = await ask(
    url,
    `SELECT DISTINCT nspname::text AS schema FROM pg_partition_tree('events') JOIN pg_class ON pg_class.oid = relid
     JOIN pg_namespace AS n ON n.oid = relnamespace`,
  )
  assert.deepEqual(places, [{ schema: 'MyEvents' }])
})
