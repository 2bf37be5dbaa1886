import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { OtherDatabase } from '../support/databases.ts'
import { alarms, diagnose } from '../support/diagnosis.ts'
import { idOf } from '../support/records.ts'
import { pausedBy, postEvents, range } from '../support/sink-faults.ts'
import { caughtUp } from '../support/sink-health.ts'

/* Where the tables are: other schemas, search paths, and a database that has an `events` table of its own. */

const SINK = ['--sink-role', 'firehose_sink']
let pipeline: Pipeline

before(async () => {
  pipeline = await Pipeline.start({ KAFKA_TOPIC_PARTITIONS: '1', FETCH_MAX_WAIT_MS: '50' })
})
after(async () => {
  await pipeline?.close()
})

test('search_path of the database, set before the first migrate: the sink gets the right to use the schema', async () => {
  const db = await OtherDatabase.create(pipeline, 'searched')
  await db.query('CREATE SCHEMA analytics')
  await db.query('ALTER DATABASE searched SET search_path = analytics')
  assert.equal((await db.run('migrate', ...SINK)).code, 0)
  const api = await db.startApi()
  const sink = await db.spawnLeastPrivilegedSink()
  await postEvents(api, range(0, 20))
  await db.stored(20, 'analytics.events')
  for (const service of [api, sink]) await service.stop(10_000)
})

test('search_path of the owner alone: the sink names the schema, and DATABASE_SCHEMA cures it', async () => {
  const db = await OtherDatabase.create(pipeline, 'owned')
  await db.query('CREATE SCHEMA mine')
  await db.query('ALTER ROLE firehose IN DATABASE owned SET search_path = mine')
  assert.equal((await db.run('migrate', ...SINK)).code, 0)
  const api = await db.startApi()
  const blind = await db.spawnLeastPrivilegedSink()
  await postEvents(api, range(0, 20))
  const { reason = '' } = await pausedBy(
    blind,
    /in the schema "mine", which is not in the search_path of the role firehose_sink: set/,
  )
  await blind.stop(10_000)
  const [, DATABASE_SCHEMA = ''] = /set DATABASE_SCHEMA=(\w+)/.exec(reason) ?? []
  const sink = await db.spawnLeastPrivilegedSink({ DATABASE_SCHEMA })
  await db.stored(20, 'mine.events')
  for (const service of [api, sink]) await service.stop(10_000)
})

test('a search_path that changed after the first migrate: no second set of tables, and each remedy works', async () => {
  const db = await OtherDatabase.create(pipeline, 'moved')
  assert.equal((await db.run('migrate')).code, 0)
  await db.query('CREATE SCHEMA later')
  await db.query('ALTER DATABASE moved SET search_path = later')
  const refused = await db.run('migrate')
  assert.equal(refused.code, 1)
  assert.match(
    refused.err,
    /tables are in the schema public, but the search_path leads to later: set DATABASE_SCHEMA=public/,
  )
  const found = new OtherDatabase(pipeline, 'moved', { DATABASE_SCHEMA: 'public' })
  assert.match((await found.run('migrate')).out, /up to date/)
  const others = new OtherDatabase(pipeline, 'moved', { DATABASE_SCHEMA: 'later' })
  assert.match((await others.run('migrate')).out, /Applied 001_events/)
})

test('an events table of its own: migrate names DATABASE_SCHEMA, with which everything works beside it', async () => {
  const other = await OtherDatabase.create(pipeline, 'taken')
  await other.query('CREATE TABLE events (id int); INSERT INTO events VALUES (1)')
  const refused = await other.run('migrate')
  assert.equal(refused.code, 1)
  assert.match(
    refused.err,
    /relation "events" already exists: it is not Firehose's: set DATABASE_SCHEMA=firehose /,
  )
  const [, DATABASE_SCHEMA = ''] = /set DATABASE_SCHEMA=(\w+)/.exec(refused.err) ?? []

  const db = new OtherDatabase(pipeline, 'taken', { DATABASE_SCHEMA })
  const migrated = await db.run('migrate', ...SINK)
  assert.deepEqual([migrated.code, migrated.err], [0, ''])
  assert.match((await db.run('migrate', ...SINK)).out, /up to date/)
  const api = await db.startApi()
  const sink = await db.spawnLeastPrivilegedSink()
  await postEvents(api, range(0, 20))
  await postEvents(api, range(0, 20))
  await postEvents(api, [7], { another: true })
  await db.stored(20, 'firehose.events')
  assert.equal((await caughtUp(sink)).total_dead, 1)

  const commands: [args: string[], out: RegExp][] = [
    [['verify'], /OK: nothing is missing/],
    [['where', idOf(3)], /2026-01-02/],
    [['dlq', 'list'], /event_id_conflict/],
    [['dlq', 'replay', '--new-id', '--yes'], /1/],
    [['sql', 'select count(*) from events'], /21/],
    [['rewind', '--to', '0'], /next offset is now 0/],
  ]
  for (const [args, expected] of commands) {
    const { code, out, err } = await db.run(...args)
    assert.ok(code === 0 && expected.test(out), `${args.join(' ')}: ${code} ${out}${err}`)
  }
  await caughtUp(sink)
  const { findings } = await diagnose(db.env, ['--api', api.url, '--sink', sink.url])
  assert.deepEqual(alarms(findings), [])
  assert.deepEqual(await other.query('SELECT * FROM public.events'), [{ id: 1 }])
  for (const service of [api, sink]) await service.stop(10_000)
})

test('a role that may not create tables in public: migrate says so, and its own schema works', async () => {
  const db = await OtherDatabase.create(pipeline, 'guarded')
  await db.query(`CREATE ROLE app LOGIN PASSWORD 'app'`)
  await db.query('GRANT CREATE ON DATABASE guarded TO app')
  const url = db.url.replace('firehose:firehose', 'app:app')
  const refused = await new OtherDatabase(pipeline, 'guarded', { DATABASE_URL: url }).run('migrate')
  assert.equal(refused.code, 1)
  assert.match(
    refused.err,
    /permission denied for schema public: run migrate as the owner .* set DATABASE_SCHEMA/,
  )
  const own = new OtherDatabase(pipeline, 'guarded', { DATABASE_URL: url, DATABASE_SCHEMA: 'app' })
  assert.equal((await own.run('migrate')).code, 0)
})
