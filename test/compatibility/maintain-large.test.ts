import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { startPostgres } from '../../tools/stack/backends.ts'
import { StatementProxy } from '../support/statement-proxy.ts'
import { keepWriting, LARGE_ROWS, Maintained, textsOf } from '../support/maintained.ts'

/* Maintenance beside an events_stray that is too large for an ATTACH to read it. */

let server: Awaited<ReturnType<typeof startPostgres>>

before(async () => {
  server = await startPostgres()
})
after(async () => {
  await server?.close()
})

const create = async (name: string): Promise<Maintained> => await Maintained.create(server.postgres.url, name)

/** Runs these statements, which a message has given. */
async function apply(table: Maintained, text: string): Promise<void> {
  const [statement = ''] = /ALTER TABLE [^;)]+/.exec(text) ?? []
  await table.query(statement)
}

test('beside a large events_stray with a trigger on DELETE: maintenance says so, and the remedy helps', async () => {
  const table = await create('delete_trigger')
  await table.query(`
    CREATE FUNCTION never() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
    CREATE TRIGGER kept BEFORE DELETE ON events FOR EACH ROW EXECUTE FUNCTION never()`)
  await table.growStray()
  await table.store(15, 2)
  const { actions } = await table.maintain(8)
  const [text = ''] = textsOf(actions, 'problem')
  assert.match(
    text,
    /^events_\d{8} was not made: rows of it are in events_stray, which is large and has a trigger on DELETE\./,
  )
  await apply(table, text)
  assert.equal((await table.maintain(8)).ahead, 14)
  assert.equal(await table.rowsOf(table.leaf(15)), 2)
  assert.equal(await table.lost(), 0)
})

test('beside a large events_stray: what comes soon is not made; what takes too long to move keeps no other range from its leaf', async () => {
  const table = await create('large_moves')
  await table.growStray()
  await table.query(`
    CREATE FUNCTION is_fine(metadata jsonb) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
      PERFORM pg_sleep(CASE WHEN metadata ? 'slow' THEN 0.02 ELSE 0 END);
      RETURN true; END $$;
    ALTER TABLE events ADD CHECK (is_fine(metadata)) NOT VALID`)
  await table.store(32, 50, `'{"slow": true}'`)
  for (const day of [33, 34]) await table.store(day, 6_000)
  const { actions, ahead } = await table.maintain(30, { nowMs: table.noon(30) + 60_000 })
  assert.deepEqual(textsOf(actions, 'problem'), [
    `${table.leaf(30)} to ${table.leaf(31)} were not made: events_stray is large (140 MB), and events of that time go there, where they stay.`,
    `${table.leaf(32)} was not made: moving its rows from events_stray takes too long, so they stay there.`,
  ])
  assert.equal(ahead, 0)
  const rows = await Promise.all([33, 34, 35, 44].map(async (day) => await table.rowsOf(table.leaf(day))))
  assert.deepEqual(rows, [6_000, 6_000, 0, 0])
  assert.equal(await table.lost(), 0)
})

test('I11: the session that made leaves beside a large events_stray ends: the same run lets the events in again', async () => {
  const table = await create('large_ended')
  const proxy = await StatementProxy.start(table.url)
  try {
    await table.growStray()
    const held = proxy.holdAt('VALIDATE', 'before', new AbortController().signal)
    const run = table.maintain(20, { connectionString: proxy.through(table.url) })
    const link = await held
    await assert.rejects(table.query(table.insert(25, 1)), { constraint: 'firehose_no_strays' })
    await table.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'firehose-maintain' AND datname = current_database()`,
    )
    link.release()
    const { actions, refusesSinks } = await run
    assert.match(textsOf(actions, 'problem').join(), /The step "ahead" failed: /)
    assert.equal(refusesSinks, false)
    await table.query(table.insert(25, 1))
  } finally {
    await proxy.close()
  }
})

test('I11: beside a large events_stray: an event that comes after they were counted is moved, too', async () => {
  const table = await create('large_late')
  const proxy = await StatementProxy.start(table.url)
  try {
    await table.growStray()
    const held = proxy.holdAt('ACCESS EXCLUSIVE', 'before', new AbortController().signal)
    const run = table.maintain(20, { connectionString: proxy.through(table.url) })
    const link = await held
    await table.store(25, 2)
    link.release()
    assert.equal((await run).ahead, 14)
    assert.equal(await table.rowsOf(table.leaf(25)), 2)
    assert.equal(await table.lost(), 0)
  } finally {
    await proxy.close()
  }
})

test('what a run beside a large events_stray left is dropped; if a query prevents that, the remedy helps', async () => {
  const table = await create('left_over')
  const left = `ALTER TABLE events_stray ADD CONSTRAINT firehose_no_strays CHECK (user_id < 0) NOT VALID`
  await table.query(left)
  await table.maintain(0)
  await table.store(50, 1)
  await table.query(left)
  const reader = new pg.Client({ connectionString: table.url })
  await reader.connect()
  await reader.query('BEGIN; SELECT FROM events')
  const { actions, refusesSinks } = await table.maintain(0)
  assert.ok(refusesSinks, 'the service runs again soon')
  const [text = ''] = textsOf(actions, 'problem')
  assert.match(
    text,
    /^A CHECK that Firehose needed for a moment was not dropped.*: sinks may pause because of it\./,
  )
  await assert.rejects(table.store(50, 1), { constraint: 'firehose_no_strays' })
  await reader.end()
  await apply(table, text)
  await table.query(table.insert(50, 1))
})

test('a large events_stray is read while all work, and not by ATTACH', async (t) => {
  const table = await create('large')
  await table.growStray()
  await table.store(20, 3)
  const reads = async (): Promise<unknown> =>
    await table.value(
      `SELECT round(seq_tup_read / ${LARGE_ROWS}.0)::int FROM pg_stat_all_tables WHERE relname = 'events_stray'`,
    )
  const readBefore = Number(await reads())
  const writer = keepWriting(table)
  const { actions, ahead } = await table.maintain(20)
  t.diagnostic(`the longest INSERT took ${Math.round(await writer.stop())} ms`)
  assert.equal(ahead, 14)
  assert.deepEqual(textsOf(actions, 'problem'), [
    `${table.leaf(20)} was not made: events_stray is large (139 MB), and events of that time go there, where they stay.`,
  ])
  assert.equal(Number(await reads()) - readBefore, 1, 'it was read once, to validate the CHECK')
  assert.equal(await table.lost(), 0)
})
