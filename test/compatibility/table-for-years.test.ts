import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { text } from 'node:stream/consumers'
import { pipeline } from 'node:stream/promises'
import { Readable } from 'node:stream'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'
import { type Backend, startPostgres } from '../../tools/stack/backends.ts'
import { Maintained } from '../support/maintained.ts'
import { ROOT } from '../support/run-firehose.ts'

/* What docs/OPERATIONS.md tells people to do with the table for years. */

const OPERATIONS = readFileSync(`${ROOT}/docs/OPERATIONS.md`, 'utf8')
const SECTION = /\n## The table for years\n([^]*?)\n## /.exec(OPERATIONS)?.[1] ?? ''
let server: Omit<Backend, 'kafka'>
let table: Maintained
let db: pg.Client

before(async () => {
  server = await startPostgres()
  table = await Maintained.create(server.postgres.url, 'years')
  db = new pg.Client({ connectionString: table.url })
  await db.connect()
  for (const day of [-1, 0, 1, 100]) await table.store(day, 10, `'{"a": "x, \\"y\\""}'`)
})
after(async () => {
  await db?.end()
  await server?.close()
})

test('a day is kept as a file, with the rows that lie elsewhere, and read again', async () => {
  const lines = [...SECTION.matchAll(/"(COPY \(SELECT [^"]*) TO STDOUT \(FORMAT csv, HEADER\)"/g)].map(
    ([, sql]) => sql ?? '',
  )
  assert.equal(lines.length, 2)
  assert.equal(new Set(lines).size, 1, 'with and without compose')
  const day = (offset: number): string =>
    new Date(Date.now() + offset * 86_400_000).toISOString().slice(0, 10)
  const sql = `${lines[0]!.replace('2027-01-31', day(0)).replace('2027-02-01', day(1))} TO STDOUT (FORMAT csv, HEADER)`
  const file = await text(db.query(copyTo(sql)))

  await db.query('CREATE TABLE old_events (LIKE events)')
  const back = /`(COPY events FROM STDIN \(FORMAT csv, HEADER\))`/.exec(SECTION)?.[1] ?? ''
  await pipeline(Readable.from([file]), db.query(copyFrom(back.replace('events', 'old_events'))))
  assert.equal(await table.value('SELECT count(*)::int FROM old_events'), 40)
  assert.equal(
    await table.value('SELECT count(*)::int FROM (TABLE events EXCEPT ALL TABLE old_events) AS missing'),
    0,
  )
})

test('bounds of event_id leave out all partitions but those of that time', async () => {
  const [, example, expression = ''] = /`event_id >= '([^']*)'`[^]*?`(to_hex\([^`]*\))`/.exec(SECTION) ?? []
  const digits = String(await table.value(`SELECT ${expression}`)).padStart(12, '0')
  assert.equal(`${digits.slice(0, 8)}-${digits.slice(8)}-0000-0000-000000000000`, example)

  const bound = async (day: number): Promise<string> => {
    const at = expression.replace(/timestamptz '[^']*'/, `to_timestamp(${table.noon(day) / 1_000})`)
    const hex = String(await table.value(`SELECT ${at}`)).padStart(12, '0')
    return `'${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000'`
  }
  const plan = await table.query<{ 'QUERY PLAN': string }>(
    `EXPLAIN SELECT count(*) FROM events WHERE event_id >= ${await bound(0)} AND event_id < ${await bound(1)}`,
  )
  const read = plan.flatMap(
    (line) => /\bon (events_\w+?)(?: events_\d+)?(?:_\d)?\s+\(/.exec(line['QUERY PLAN'])?.[1] ?? [],
  )
  assert.deepEqual(
    new Set(read.filter((name) => /^events_\d/.test(name))),
    new Set([table.leaf(0), table.leaf(1)]),
  )
  assert.ok(!read.includes('events_other'), JSON.stringify(plan))
})

test('an index that was built CONCURRENTLY in each partition is not built again for events, and new ones have it', async () => {
  const leaves = await table.query<{ name: string }>(
    `SELECT relid::regclass::text AS name FROM pg_partition_tree('events') WHERE isleaf`,
  )
  for (const { name } of leaves)
    await db.query(`CREATE INDEX CONCURRENTLY ${name}_mine ON ${name} (session_id)`)
  const files = `SELECT indexrelid::regclass::text AS name, pg_relation_filenode(indexrelid)::int AS file
    FROM pg_index WHERE indrelid IN (SELECT relid FROM pg_partition_tree('events') WHERE isleaf) AND indexrelid::regclass::text ~ '_mine' ORDER BY 1`
  const built = await table.query(files)
  assert.equal(built.length, leaves.length)
  await db.query('CREATE INDEX events_mine ON events (session_id)')
  assert.deepEqual(await table.query(files), built)
  assert.equal(
    await table.value(`SELECT indisvalid FROM pg_index WHERE indexrelid = 'events_mine'::regclass`),
    true,
  )
  await table.maintain(1)
  const indexes = `SELECT count(*)::int FROM pg_index WHERE indrelid = '${table.leaf(15)}'::regclass AND pg_get_indexdef(indexrelid) ~ 'session_id'`
  assert.equal(await table.value(indexes), 1)
})

test('storage parameters of events_stray are those of new partitions', async () => {
  await db.query('ALTER TABLE events_stray SET (autovacuum_vacuum_insert_scale_factor = 0.5)')
  await table.maintain(2)
  const options = await table.value(
    `SELECT reloptions::text FROM pg_class WHERE oid = '${table.leaf(16)}'::regclass`,
  )
  assert.equal(options, '{autovacuum_vacuum_insert_scale_factor=0.5}')
})
