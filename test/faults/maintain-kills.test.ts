import assert from 'node:assert/strict'
import { after, before, suite, test } from 'node:test'
import type { RunOptions } from '../../maintenance/run.ts'
import { startPostgres } from '../../tools/stack/backends.ts'
import { LARGE_ROWS, Maintained, textsOf } from '../support/maintained.ts'
import { StatementProxy } from '../support/statement-proxy.ts'
import { until } from '../support/until.ts'

/*
 * A run in which the server ends the connection that sends a statement, before the statement or after it; then a second run.
 * Each statement has a day of its own, on which a leaf is made (with strays) and one is closed.
 */

let server: Awaited<ReturnType<typeof startPostgres>>

before(async () => {
  server = await startPostgres()
})
after(async () => {
  await server?.close()
})

/** Runs, and ends the connection at the statement. @returns whether there was such a statement */
async function runKilled(
  table: Maintained,
  day: number,
  { proxy, statement, when }: { proxy: StatementProxy; statement: number; when: 'before' | 'after' },
  change: Partial<RunOptions> = {},
): Promise<boolean> {
  const ended = new AbortController()
  const held = proxy.holdAt(statement, when, ended.signal)
  const run = table
    .maintain(day, { connectionString: proxy.through(table.url), ...change })
    .catch((error: Error) => error)
    .finally(() => ended.abort())
  const link = await held.catch(() => undefined)
  if (link === undefined) {
    assert.ok(!((await run) instanceof Error))
    return false
  }
  const session = `FROM pg_stat_activity WHERE client_port = ${link.outgoingPort}`
  await table.query(`SELECT pg_terminate_backend(pid) ${session}`)
  await until('the session has ended', async () => (await table.query(`SELECT ${session}`)).length === 0)
  link.cut()
  const result = await run
  if (!(result instanceof Error)) assert.equal(textsOf(result.actions, 'problem').length > 0, true)
  return true
}

/** What is in the tree: rows and user indexes of each leaf by its day; nothing else may be there. */
async function stateOf(table: Maintained): Promise<unknown> {
  return await table.query(`
    SELECT c.relname AS name, c.relispartition AS attached,
      (SELECT count(*)::int FROM pg_index AS i WHERE indrelid = c.oid AND indisvalid) AS indexes,
      (SELECT count(*)::int FROM pg_index AS i WHERE indrelid = c.oid AND NOT indisvalid) AS remains,
      coalesce(s.vacuum_count > 0, false) AS vacuumed, EXISTS (SELECT FROM pg_constraint WHERE conrelid = c.oid AND conname = 'firehose_no_strays') AS excludes
    FROM pg_class AS c LEFT JOIN pg_stat_all_tables AS s ON s.relid = c.oid
    WHERE c.relkind = 'r' AND c.relname ~ '^events_([0-9]|stray)' ORDER BY 1`)
}

/** What stateOf() must be: closed leaves have their user indexes, those ahead have not. */
function expected(table: Maintained, day: number): unknown {
  const leaves = Array.from({ length: day + 16 }, (_, n) => n - 1).map((each) => ({
    name: table.leaf(each),
    attached: true,
    indexes: each < day ? 5 : 3,
    remains: 0,
    vacuumed: each < day,
    excludes: false,
  }))
  const stray = {
    name: 'events_stray',
    attached: true,
    indexes: 5,
    remains: 0,
    vacuumed: false,
    excludes: false,
  }
  return [...leaves, stray]
}

/** The leaf of day 7 is missing, which leaves 6 ahead; its events are in `events_stray` again. */
const MISSING = 7

async function removeLeaf(table: Maintained): Promise<void> {
  const leaf = table.leaf(MISSING)
  await table.query(
    `ALTER TABLE events_era DETACH PARTITION ${leaf}; INSERT INTO events SELECT * FROM ${leaf}; DROP TABLE ${leaf}`,
  )
}

/* Most of the time they wait until sinks would have had a rest. */
suite('kills', { concurrency: true }, () => {
  for (const when of ['before', 'after'] as const) {
    test(`I11: killed ${when} each statement of a run, and run again: as if it had not been killed`, async (t) => {
      const table = await Maintained.create(server.postgres.url, `kill_${when}`, { userIndex: 'deferred' })
      const proxy = await StatementProxy.start(table.url)
      try {
        let day = 1
        for (let statement = 1; ; statement++, day++) {
          await table.store(day + 14, 2)
          await table.store(day - 1, 2)
          const wasKilled = await runKilled(table, day, { proxy, statement, when })
          await table.maintain(day)
          assert.deepEqual(await stateOf(table), expected(table, day), `${when} statement ${statement}`)
          assert.equal(await table.rowsOf(table.leaf(day + 14)), 2)
          if (!wasKilled) break
        }
        assert.equal(await table.lost(), 0)
        assert.equal(await table.rowsOf('events_stray'), 0)
        t.diagnostic(`${day} statements`)
        assert.ok(day > 30, `only ${day} statements`)
      } finally {
        await proxy.close()
      }
    })
  }

  for (const when of ['before', 'after'] as const) {
    test(`I11: beside a large events_stray, killed ${when} each statement, and run again: as if it had not been killed`, async (t) => {
      const table = await Maintained.create(server.postgres.url, `large_${when}`, { userIndex: 'deferred' })
      const proxy = await StatementProxy.start(table.url)
      try {
        await table.store(MISSING, 3)
        await table.growStray()
        await table.maintain(0)
        for (let statement = 1; ; statement++) {
          await removeLeaf(table)
          const wasKilled = await runKilled(table, 0, { proxy, statement, when })
          await table.maintain(0)
          assert.deepEqual(await stateOf(table), expected(table, 0), `${when} statement ${statement}`)
          assert.equal(await table.rowsOf(table.leaf(MISSING)), 3)
          assert.equal(await table.rowsOf('events_stray'), LARGE_ROWS)
          if (!wasKilled) {
            t.diagnostic(`${statement} statements`)
            assert.ok(statement > 40, `only ${statement} statements`)
            break
          }
        }
        assert.equal(await table.lost(), 0)
      } finally {
        await proxy.close()
      }
    })
  }
})
