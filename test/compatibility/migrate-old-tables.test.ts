import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { listMigrations } from '../../postgres/migrate.ts'
import { ask } from '../../tools/stack/ask.ts'
import { startPostgres } from '../../tools/stack/backends.ts'
import { diagnose } from '../support/diagnosis.ts'
import { type Ended, runFirehose } from '../support/run-firehose.ts'

/* Migration 006 on tables from before it, which users have changed. Each remedy is taken from the message, and applied. */

let server: Awaited<ReturnType<typeof startPostgres>>

before(async () => {
  server = await startPostgres()
})
after(async () => {
  await server?.close()
})

/** A database with the tables from before the optional fields, and what runs in it. */
async function oldDatabase(name: string): Promise<{
  env: NodeJS.ProcessEnv
  query: (sql: string) => Promise<Record<string, unknown>[]>
  migrate: (userIdType?: string) => Promise<Ended>
}> {
  await ask(server.postgres.url, `CREATE DATABASE ${name}`)
  const url = new URL(server.postgres.url)
  url.pathname = `/${name}`
  const query = async (sql: string) => await ask<Record<string, unknown>>(url.href, sql)
  await query(
    'CREATE TABLE firehose_migrations (name text PRIMARY KEY, applied_at timestamptz DEFAULT now())',
  )
  for (const file of (await listMigrations()).filter((each) => each < '006')) {
    await query(readFileSync(new URL(`../../postgres/migrations/${file}`, import.meta.url), 'utf8'))
    await query(`INSERT INTO firehose_migrations (name) VALUES ('${file}')`)
  }
  const env = { ...process.env, DATABASE_URL: url.href, KAFKA_BOOTSTRAP_SERVERS: '127.0.0.1:1' }
  const migrate = async (type = 'bigint') => await runFirehose({ ...env, USER_ID_TYPE: type }, 'migrate')
  return { env, query, migrate }
}

/** A row of a visitor, which only fits after the migration. */
const VISITOR = `INSERT INTO events (event_id, anonymous_id, "timestamp", metadata, received_at)
  VALUES ('00000000-0000-7000-8000-000000000001', 'v', now(), '{}', now())`

test('a key with user_id: migrate says that the key must be event_id alone', async () => {
  const { query, migrate } = await oldDatabase('wide_key')
  await query('ALTER TABLE events DROP CONSTRAINT events_pkey, ADD PRIMARY KEY (event_id, user_id)')
  const refused = await migrate()
  assert.equal(refused.code, 1)
  const remedy = /ALTER TABLE events DROP CONSTRAINT \.\.\.[^;]+;/.exec(refused.err)?.[0] ?? ''
  await query(remedy.replace('...', 'events_pkey'))
  assert.equal((await migrate()).code, 0)
  await query(VISITOR)
})

test('a view in the place of the table: migrate says to rename the table back', async () => {
  const { query, migrate } = await oldDatabase('viewed')
  await query('ALTER TABLE events RENAME TO raw; CREATE VIEW events AS SELECT * FROM raw')
  assert.match((await migrate()).err, /rename the table of Firehose back to events, then run migrate again/)
  await query('ALTER VIEW events RENAME TO shown; ALTER TABLE raw RENAME TO events')
  assert.equal((await migrate()).code, 0)
  await query(VISITOR)
})

test('a table that was partitioned while it was empty: its partitions take visitors afterwards', async () => {
  const { env, query, migrate } = await oldDatabase('partitioned')
  await query(
    `ALTER TABLE events RENAME TO part; ALTER INDEX events_pkey RENAME TO part_pkey;
     CREATE TABLE events (LIKE part INCLUDING ALL) PARTITION BY RANGE (event_id);
     ALTER TABLE events ATTACH PARTITION part DEFAULT`,
  )
  assert.match((await migrate()).out, /^Applied 006_optional_fields.sql/)
  await query(VISITOR)
  assert.equal((await query('SELECT FROM part')).length, 1)
  const { mend = '' } = (await diagnose(env, ['--check', 'indexes'])).findings[0] ?? {}
  for (const [statement] of mend.matchAll(/CREATE INDEX[^;]+;/g)) await query(statement)
  assert.deepEqual(
    (await diagnose(env, ['--check', 'indexes'])).findings.map(({ level }) => level),
    ['ok'],
  )
})

for (const [wanted, other] of [
  ['bigint', 'integer'],
  ['bigint', 'varchar'],
  ['text', 'varchar'],
] as const) {
  test(`a user_id of type ${other}: migrate gives the statement that makes it ${wanted}`, async () => {
    const { query, migrate } = await oldDatabase(`${other}_${wanted}`)
    await query(`ALTER TABLE events ALTER COLUMN user_id TYPE ${other}`)
    const refused = await migrate(wanted)
    assert.equal(refused.code, 1)
    assert.doesNotMatch(refused.err, /set USER_ID_TYPE/)
    await query(/ALTER TABLE[^;]+;/.exec(refused.err)?.[0] ?? '')
    assert.equal((await migrate(wanted)).code, 0)
  })
}
