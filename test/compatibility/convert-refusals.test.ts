import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { ask } from '../../tools/stack/ask.ts'
import { startPostgres } from '../../tools/stack/backends.ts'
import { catalogOf } from '../support/catalog.ts'
import { addRows, convertAt, plainDatabase } from '../support/conversions.ts'

/*
 * What keeps a table from being converted. Each remedy is taken from the message that names it, and applied; then the dry run
 * refuses nothing more. At the end, the table is converted.
 */

let server: Awaited<ReturnType<typeof startPostgres>>
let url: string

before(async () => {
  server = await startPostgres()
  url = await plainDatabase(server.postgres.url, 'refused')
  await addRows(url, 20)
  await ask(
    url,
    'CREATE ROLE writer; GRANT INSERT ON events TO writer; CREATE ROLE owner_of_it; CREATE SCHEMA aside',
  )
})
after(async () => {
  await server?.close()
})

interface Case {
  what: string
  setUp: string
  refusal: RegExp
  /** Instead of the statements in the message. */
  remedy?: string
  tidy?: string
  /** As which role the conversion runs. */
  as?: string
}

const PROCEDURE = `CREATE OR REPLACE FUNCTION nothing() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'`

const cases: Case[] = [
  {
    what: 'an identity column',
    setUp: `ALTER TABLE events ADD COLUMN n bigint GENERATED ALWAYS AS IDENTITY`,
    refusal: /^The column n is an identity column/,
    tidy: 'ALTER TABLE events DROP COLUMN n',
  },
  {
    what: 'a foreign key of another table',
    setUp: 'CREATE TABLE noted (event_id uuid CONSTRAINT of_event REFERENCES events)',
    refusal: /^The foreign key of_event of noted/,
    tidy: 'DROP TABLE noted',
  },
  {
    what: 'a foreign key of itself',
    setUp: 'ALTER TABLE events ADD COLUMN cause uuid CONSTRAINT of_cause REFERENCES events',
    refusal: /^The foreign key of_cause of events/,
    tidy: 'ALTER TABLE events DROP COLUMN cause',
  },
  {
    what: 'a view',
    setUp: 'CREATE VIEW seen AS SELECT event_id FROM events',
    refusal: /^The view seen would go on reading the old table/,
  },
  {
    what: 'a materialized view',
    setUp: 'CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM events',
    refusal: /^The materialized view counted/,
  },
  {
    what: 'a rule',
    setUp: 'CREATE RULE noted AS ON DELETE TO events DO ALSO NOTIFY gone',
    refusal: /^The rule noted/,
  },
  {
    what: 'a publication of the table',
    setUp: 'CREATE PUBLICATION told FOR TABLE events',
    refusal: /^The publication told would go on with the old table alone/,
    remedy: 'ALTER PUBLICATION told DROP TABLE public.events',
    tidy: 'DROP PUBLICATION told',
  },
  {
    what: 'a publication of all tables',
    setUp: 'CREATE PUBLICATION everything FOR ALL TABLES',
    refusal: /^The publication everything would publish the partitions/,
    tidy: 'DROP PUBLICATION everything',
  },
  {
    what: 'a publication of the schema',
    setUp: 'CREATE PUBLICATION its_schema FOR TABLES IN SCHEMA public',
    refusal: /^The publication its_schema would publish the partitions/,
    tidy: 'DROP PUBLICATION its_schema',
  },
  {
    what: 'a unique constraint without event_id',
    setUp: 'ALTER TABLE events ADD CONSTRAINT one_each UNIQUE (user_id, "timestamp")',
    refusal: /^The unique constraint one_each lacks event_id/,
  },
  {
    what: 'a unique index without event_id',
    setUp: 'CREATE UNIQUE INDEX one_each ON events (user_id, "timestamp")',
    refusal: /^The unique index one_each lacks event_id/,
  },
  {
    what: 'an exclusion constraint without event_id',
    setUp: 'ALTER TABLE events ADD CONSTRAINT apart EXCLUDE USING btree ("timestamp" WITH =)',
    refusal: /^The exclusion constraint apart lacks event_id/,
  },
  {
    what: 'a wide primary key',
    setUp: 'ALTER TABLE events DROP CONSTRAINT events_pkey, ADD PRIMARY KEY (event_id, received_at)',
    refusal: /^The primary key is not event_id alone/,
  },
  {
    what: 'a row trigger with a transition table',
    setUp: `${PROCEDURE}; CREATE TRIGGER rows AFTER INSERT ON events REFERENCING NEW TABLE AS new_rows FOR EACH ROW EXECUTE FUNCTION nothing()`,
    refusal: /^The row trigger rows has a transition table/,
  },
  {
    what: 'CHECK NO INHERIT',
    setUp: 'ALTER TABLE events ADD CONSTRAINT alone CHECK (user_id > 0) NO INHERIT',
    refusal: /^The CHECK alone is NO INHERIT/,
    tidy: 'ALTER TABLE events DROP CONSTRAINT alone',
  },
  {
    what: 'NOT NULL NO INHERIT',
    setUp: 'ALTER TABLE events ADD CONSTRAINT there NOT NULL user_id NO INHERIT',
    refusal: /^The NOT NULL there is NO INHERIT/,
    tidy: 'ALTER TABLE events DROP CONSTRAINT there',
  },
  {
    what: 'a foreign key that is not validated',
    setUp: `CREATE TABLE users (id bigint PRIMARY KEY); INSERT INTO users SELECT generate_series(1, 10);
      ALTER TABLE events ADD CONSTRAINT of_user FOREIGN KEY (user_id) REFERENCES users NOT VALID`,
    refusal: /^The foreign key of_user is not validated/,
    tidy: 'ALTER TABLE events DROP CONSTRAINT of_user',
  },
  {
    what: 'a child by inheritance',
    setUp: 'CREATE TABLE heir () INHERITS (events)',
    refusal: /^heir inherits from public.events/,
    tidy: 'DROP TABLE heir',
  },
  {
    what: 'a parent by inheritance',
    setUp: 'CREATE TABLE elder (user_id bigint); ALTER TABLE events INHERIT elder',
    refusal: /^public.events inherits from elder/,
    tidy: 'DROP TABLE elder',
  },
  {
    what: 'a function of SQL',
    setUp: 'CREATE FUNCTION how_many() RETURNS bigint BEGIN ATOMIC SELECT count(*) FROM events; END',
    refusal: /depends on public.events .*: function how_many\(\). Drop it/,
    remedy: 'DROP FUNCTION how_many()',
  },
  {
    what: 'a column of its row type',
    setUp: 'CREATE TABLE kept (event events)',
    refusal: /depends on public.events .*: column event of table kept/,
    remedy: 'DROP TABLE kept',
  },
  {
    what: 'a policy of another table',
    setUp: 'CREATE TABLE notes (n int); CREATE POLICY by_event ON notes USING (EXISTS (SELECT FROM events))',
    refusal: /depends on public.events .*: policy by_event on table notes/,
    remedy: 'DROP TABLE notes',
  },
  {
    what: 'a table that is not logged',
    setUp: 'ALTER TABLE events SET UNLOGGED',
    refusal: /^public.events is not logged/,
  },
  {
    what: 'another access method',
    setUp:
      'CREATE ACCESS METHOD pile TYPE TABLE HANDLER heap_tableam_handler; ALTER TABLE events SET ACCESS METHOD pile',
    refusal: /^public.events has the access method pile/,
    tidy: 'DROP ACCESS METHOD pile',
  },
  {
    what: 'a table of an extension',
    setUp: 'ALTER EXTENSION plpgsql ADD TABLE events',
    refusal: /^public.events belongs to the extension plpgsql/,
  },
  {
    what: 'a table of a type',
    setUp: `DO $$ BEGIN EXECUTE (SELECT format('CREATE TYPE shape AS (%s)', string_agg(format('%I %s%s', attname,
        format_type(atttypid, atttypmod), CASE WHEN attcollation = 'pg_catalog."C"'::regcollation THEN ' COLLATE "C"' END), ', ' ORDER BY attnum))
      FROM pg_attribute WHERE attrelid = 'events'::regclass AND attnum > 0 AND NOT attisdropped); END $$;
      ALTER TABLE events OF shape`,
    refusal: /^public.events is of the type shape/,
    tidy: 'DROP TYPE shape',
  },
  {
    what: 'the target of a subscription',
    setUp: `CREATE SUBSCRIPTION heard CONNECTION 'dbname=nowhere' PUBLICATION told WITH (connect = false, slot_name = NONE);
      INSERT INTO pg_subscription_rel SELECT oid, 'events'::regclass, 'r', NULL FROM pg_subscription`,
    refusal: /^The subscription heard writes to the old table/,
  },
  {
    what: 'a name that is taken',
    setUp: 'CREATE TABLE events_other (n int)',
    refusal: /^The name events_other is needed/,
    tidy: 'DROP TABLE events_other_before',
  },
  {
    what: 'an index that is not valid',
    setUp: `CREATE INDEX broken ON events (source); UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'broken'::regclass`,
    refusal: /^The index broken is not valid/,
  },
  {
    what: 'row-level security that binds the owner',
    setUp: `ALTER TABLE events OWNER TO owner_of_it; GRANT CREATE, USAGE ON SCHEMA public TO owner_of_it; ALTER TABLE events FORCE ROW LEVEL SECURITY`,
    refusal: /^Row-level security is forced on public.events/,
    as: 'owner_of_it',
    tidy: 'ALTER TABLE events OWNER TO CURRENT_USER',
  },
]

for (const { what, setUp, refusal, remedy, tidy, as } of cases) {
  test(`${what}: refused, and the remedy helps`, async () => {
    await ask(url, setUp)
    const place = new URL(url)
    if (as !== undefined) place.searchParams.set('options', `-crole=${as}`)
    const old = await catalogOf(url, 'public.events')
    const { outcome, refused } = await convertAt(place.href)
    assert.equal(outcome, 'refused')
    assert.equal(refused.length, 1, refused.join('\n'))
    assert.match(refused[0]!, refusal)
    assert.deepEqual(await catalogOf(url, 'public.events'), old)
    assert.deepEqual((await convertAt(place.href, { dryRun: true })).refused, refused)
    for (const statement of remedy?.split(';') ?? statementsIn(refused[0]!)) await ask(url, statement)
    const cured = await convertAt(place.href, { dryRun: true })
    assert.equal(cured.outcome, 'would convert', cured.refused.join('\n'))
    if (tidy !== undefined) await ask(url, tidy)
  })
}

/** The first statement of a message; or all from BEGIN to COMMIT, as one. */
function statementsIn(text: string): string[] {
  const [transaction] = /BEGIN; .*COMMIT;/.exec(text) ?? []
  if (transaction !== undefined) return [transaction]
  return [/(?:ALTER|DROP) [A-Z][^;]*/.exec(text)?.[0] ?? '']
}

test('an identity column goes on where it was, as a sequence that the sinks may use', async () => {
  await ask(url, 'ALTER TABLE events ADD COLUMN n bigint GENERATED ALWAYS AS IDENTITY')
  const [refusal = ''] = (await convertAt(url)).refused
  await ask(url, statementsIn(refusal)[0]!)
  await ask(
    url,
    `GRANT SELECT (n) ON events TO writer; SET ROLE writer;
    INSERT INTO events (event_id, "timestamp", metadata, received_at) VALUES (gen_random_uuid(), now(), '{}', now())`,
  )
  assert.deepEqual(await ask(url, 'SELECT max(n)::int AS n, count(*)::int AS count FROM events'), [
    { n: 21, count: 21 },
  ])
})

test('afterwards, it is converted', async () => {
  const { outcome, refused } = await convertAt(url)
  assert.equal(outcome, 'converted', refused.join('\n'))
  assert.deepEqual(await ask(url, 'SELECT count(*)::int AS count FROM events'), [{ count: 21 }])
})
