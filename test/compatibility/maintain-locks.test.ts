import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import pg from 'pg'
import { makeAhead } from '../../maintenance/ahead.ts'
import { BriefTransactions } from '../../maintenance/brief-transactions.ts'
import { LongStatements } from '../../maintenance/long-statements.ts'
import type { Action } from '../../maintenance/maintenance.ts'
import { readLayout } from '../../postgres/partitions/tree.ts'
import { takeTurn } from '../../maintenance/turn.ts'
import { startPostgres } from '../../tools/stack/backends.ts'
import { spawnMaintain } from '../support/maintain-process.ts'
import { keepWriting, Maintained, textsOf } from '../support/maintained.ts'
import { hasPgBouncer, startPgBouncer } from '../support/pgbouncer.ts'
import { ended } from '../support/run-firehose.ts'
import { keepaliveS } from '../support/server-socket.ts'
import { StatementProxy } from '../support/statement-proxy.ts'
import { until } from '../support/until.ts'

/* What others notice of maintenance, and maintenance of others. */

let server: Awaited<ReturnType<typeof startPostgres>>

before(async () => {
  server = await startPostgres()
})
after(async () => {
  await server?.close()
})

/** The step alone, with a number of attempts. */
async function aheadOnly(table: Maintained, day: number, attempts: number): Promise<Action[]> {
  const { signal } = new AbortController()
  const db = new pg.Client({ connectionString: table.url })
  await db.connect()
  try {
    const tree = await readLayout(db)
    assert.equal(tree.kind, 'tree')
    const actions: Action[] = []
    await makeAhead({
      db,
      brief: new BriefTransactions(db, signal, { attempts }),
      long: new LongStatements(db, table.url, signal, 60_000),
      policy: table.policy,
      nowMs: table.noon(day),
      clocks: { isRehearsal: true },
      dryRun: false,
      report: (action) => actions.push(action),
      signal,
      ...(tree.kind === 'tree' ? { tree } : assert.fail()),
    })
    return actions
  } finally {
    await db.end()
  }
}

test('I11: while a query of events is open, nothing is made, no writer waits long, and the remedy helps', async (t) => {
  const table = await Maintained.create(server.postgres.url, 'held')
  await table.store(0, 10)
  const reader = new pg.Client({ connectionString: table.url })
  await reader.connect()
  await reader.query('BEGIN; SELECT count(*) FROM events')
  const writer = keepWriting(table)
  const beganMs = performance.now()
  const refused = await aheadOnly(table, 2, 2)
  assert.ok(performance.now() - beganMs > 10_000, 'sinks had no rest between two attempts')
  const longestMs = await writer.stop()
  t.diagnostic(`the longest INSERT took ${Math.round(longestMs)} ms`)
  assert.ok(longestMs < 1_000)
  assert.deepEqual(textsOf(refused, 'problem'), [
    `${table.leaf(15)} was not made: other sessions, such as a long query, use events_stray all the time. Its events go there. When they have ended, run "npx firehose maintain" again.`,
  ])
  await reader.end()
  assert.equal(textsOf(await aheadOnly(table, 2, 1), 'made').length, 2)
  assert.equal(await table.lost(), 0)
})

test('I11: a maintainer that is frozen while it has its locks is ended within a second, and the run goes on', async (t) => {
  const table = await Maintained.create(server.postgres.url, 'frozen')
  const proxy = await StatementProxy.start(table.url)
  try {
    await table.store(15, 5)
    const usual = keepWriting(table)
    await until('it is known what else slows it down', async () => (await table.rowsOf('events_stray')) > 300)
    const usualMs = await usual.stop()
    const writer = keepWriting(table)
    const never = new AbortController()
    const held = proxy.holdAt('ACCESS EXCLUSIVE', 'after', never.signal)
    const env = { PATH: process.env.PATH, DATABASE_URL: proxy.through(table.url) }
    const child = spawnMaintain(env, ['--now', new Date(table.noon(1)).toISOString()])
    const run = ended(child)
    const link = await held
    child.kill('SIGSTOP')
    link.release()
    const session = `SELECT FROM pg_stat_activity WHERE client_port = ${link.outgoingPort}`
    await until(
      'the server has ended the session',
      async () => (await table.query(session)).length === 0,
      2_000,
    )
    child.kill('SIGCONT')
    const { code, out, err } = await run
    const longestMs = await writer.stop()
    t.diagnostic(`the longest INSERT took ${Math.round(longestMs)} ms`)
    assert.ok(longestMs > 500 && longestMs < 1_000 + usualMs, `${longestMs} ms, ${usualMs} ms before`)
    assert.equal(code, 1)
    assert.match(
      err,
      /^The step "ahead" failed: terminating connection due to transaction timeout \(25P04\): it took too long, so it was rolled back; the next run tries again\./m,
    )
    assert.equal(out.match(/ was closed: /g)?.length, 2, 'the next step went on')
    assert.equal((await table.maintain(1)).ahead, 14)
    assert.equal(await table.lost(), 0)
  } finally {
    await proxy.close()
  }
})

test('two maintainers: one works, and the other says that it does not', async () => {
  const table = await Maintained.create(server.postgres.url, 'two')
  const proxy = await StatementProxy.start(table.url)
  try {
    const held = proxy.holdAt('ACCESS EXCLUSIVE', 'before', new AbortController().signal)
    const first = table.maintain(1, { connectionString: proxy.through(table.url) })
    const link = await held
    const second = await table.maintain(1)
    assert.deepEqual(second, {
      outcome: 'busy',
      actions: [],
      leaves: 16,
      ahead: 13,
      layout: 'tree',
      refusesSinks: false,
    })
    link.release()
    assert.equal((await first).outcome, 'done')
    assert.equal((await table.maintain(1)).outcome, 'done')
  } finally {
    await proxy.close()
  }
})

test('the connection that keeps others away is lost: the run ends, and says so', async () => {
  const table = await Maintained.create(server.postgres.url, 'turn_lost')
  const proxy = await StatementProxy.start(table.url)
  try {
    const held = proxy.holdAt('ACCESS EXCLUSIVE', 'before', new AbortController().signal)
    const run = table.maintain(1, { connectionString: proxy.through(table.url) })
    const link = await held
    await table.query(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'firehose-maintain-turn' AND datname = current_database()`,
    )
    link.release()
    await assert.rejects(run, /the connection that keeps other maintainers away was lost/)
    assert.equal((await table.maintain(1)).ahead, 14)
  } finally {
    await proxy.close()
  }
})

test('an index is built only within the limit; the next run removes its remains, and builds it', async () => {
  const table = await Maintained.create(server.postgres.url, 'in_time', { userIndex: 'deferred' })
  await table.store(0, 10)
  const reader = new pg.Client({ connectionString: table.url })
  await reader.connect()
  await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM events_other') // CONCURRENTLY waits for it
  const remains = `SELECT count(*)::int FROM pg_index WHERE NOT indisvalid`
  const { actions } = await table.maintain(1, { longLimitMs: 300 })
  assert.match(
    textsOf(actions, 'problem').join(),
    /^The step "close" failed: the limit of 1 s for a run was reached; the next run goes on\.$/,
  )
  assert.equal(await table.value(remains), 1)
  await reader.end()
  const next = await table.maintain(1)
  assert.deepEqual(textsOf(next.actions, 'problem'), [])
  assert.equal(await table.value(remains), 0)
  assert.equal(textsOf(next.actions, 'indexed').length, 4)
})

test('an abort ends a long statement, and the run, at once', async () => {
  const table = await Maintained.create(server.postgres.url, 'aborted', { userIndex: 'deferred' })
  await table.store(0, 10)
  const reader = new pg.Client({ connectionString: table.url })
  await reader.connect()
  await reader.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1 FROM events_other')
  const control = new AbortController()
  const run = table.maintain(1, { signal: control.signal })
  await until(
    'the index is being built',
    async () => (await table.query('SELECT FROM pg_stat_progress_create_index')).length > 0,
  )
  control.abort(new Error('asked to end'))
  await assert.rejects(run, /asked to end/)
  await reader.end()
})

test('through PgBouncer in transaction mode', { skip: !hasPgBouncer && 'no pgbouncer here' }, async () => {
  const table = await Maintained.create(server.postgres.url, 'pooled', { userIndex: 'deferred' })
  const pool = await startPgBouncer(table.url)
  try {
    await table.store(15, 3)
    const { actions, ahead } = await table.maintain(1, { connectionString: pool.url })
    assert.deepEqual(textsOf(actions, 'problem'), [])
    assert.equal(ahead, 14)
    assert.equal(await table.rowsOf(table.leaf(15)), 3)
    assert.deepEqual((await table.maintain(1, { connectionString: pool.url })).actions, [])
  } finally {
    await pool.stop()
  }
})

test('the server soon notices that the machine of a maintainer is gone, and another one has its turn', async (t) => {
  const turn = await takeTurn(server.postgres.url)
  try {
    const seconds = await keepaliveS(new URL(server.postgres.url).port)
    if (seconds === undefined) return t.skip('the socket of the server is not seen here')
    assert.ok(seconds <= 10, `it asks after ${seconds} s`)
  } finally {
    await turn?.release()
  }
})
