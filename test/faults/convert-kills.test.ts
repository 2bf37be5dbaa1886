import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { firstIdAt } from '../../postgres/partitions/ranges.ts'
import { ask } from '../../tools/stack/ask.ts'
import { startPostgres } from '../../tools/stack/backends.ts'
import { type Catalog, catalogOf } from '../support/catalog.ts'
import { convertAt, oldDatabase, plainDatabase } from '../support/conversions.ts'
import { StatementProxy } from '../support/statement-proxy.ts'
import { until } from '../support/until.ts'

/* Conversions whose connection is ended at a statement, before it or after it, and that are run again. */

let server: Awaited<ReturnType<typeof startPostgres>>
let proxy: StatementProxy

before(async () => {
  server = await startPostgres()
  proxy = await StatementProxy.start(server.postgres.url)
})
after(async () => {
  await proxy?.close()
  await server?.close()
})

const COUNT = 'SELECT count(*)::int AS rows, count(DISTINCT event_id)::int AS ids FROM events'
/** A row in the years that are partitioned. */
const ROW_OF_ERA = `INSERT INTO events (event_id, "timestamp", metadata, received_at)
  VALUES ('${firstIdAt(Date.now() + 400 * 86_400_000)}', now(), '{}', now())`

/** What matters afterwards, without the names that depend on the day. */
async function stateOf(url: string): Promise<Catalog> {
  const [root, other, stray] = await Promise.all(
    ['events', 'events_other', 'events_stray'].map(async (table) => await catalogOf(url, `public.${table}`)),
  )
  return {
    ...root,
    other: Object.values(other ?? {}).flat(),
    stray: Object.values(stray ?? {}).flat(),
  }
}

/** Converts, and ends there: the leaves are a matter of `firehose maintain` (its own tests). */
async function convertWithoutLeaves(url: string): Promise<void> {
  const ended = convertAt(url, { until: ({ text }) => / is partitioned[.;]/.test(text) })
  await assert.rejects(ended, /ended here/)
}

/** The first statements are the same. */
for (const [what, rowsOfEra, first] of [
  ['none', 0, 1],
  ['some', 1, 19],
] as const) {
  test(`killed at every statement, with ${what} of its rows in the era, and run again`, async (t) => {
    const model = await oldDatabase(server.postgres.url, `model${rowsOfEra}`, 0)
    if (rowsOfEra > 0) await ask(model, ROW_OF_ERA)
    await ask(
      model,
      `INSERT INTO events (event_id, user_id, "timestamp", metadata, received_at)
       SELECT lpad(n::text, 32, '0')::uuid, n, now(), '{}', now() FROM generate_series(1, 50) AS n`,
    )
    let state: Catalog | undefined
    let statements = 0
    for (let statement: number = first, isOver = false; !isOver; statement++) {
      for (const when of ['before', 'after'] as const) {
        const name = `killed_${rowsOfEra}_${when}_${statement}`
        const url = await plainDatabase(server.postgres.url, name, `TEMPLATE model${rowsOfEra}`)
        isOver = !(await runKilled(url, statement, when))
        await convertWithoutLeaves(url)
        state ??= await stateOf(url)
        assert.deepEqual(await stateOf(url), state, `${when} ${statement}`)
        assert.deepEqual(await ask(url, COUNT), [{ rows: 50 + rowsOfEra, ids: 50 + rowsOfEra }])
      }
      statements = statement
    }
    t.diagnostic(`${statements} statements`)
    assert.ok(statements > 25, `only ${statements} statements`)
  })
}

/** @returns whether there was such a statement before the table was a tree */
async function runKilled(url: string, statement: number, when: 'before' | 'after'): Promise<boolean> {
  const ended = new AbortController()
  const held = proxy.holdAt(statement, when, ended.signal)
  const run = convertWithoutLeaves(proxy.through(url)).finally(() => ended.abort())
  const result = run.then(
    () => 'over' as const,
    () => 'killed' as const,
  )
  const link = await held.catch(() => undefined)
  if (link === undefined) {
    assert.equal(await result, 'over')
    return false
  }
  const session = `FROM pg_stat_activity WHERE client_port = ${link.outgoingPort}`
  const database = new URL(url).pathname.slice(1)
  await ask(server.postgres.url, `ALTER DATABASE ${database} ALLOW_CONNECTIONS false`) // it cannot tidy up
  await ask(server.postgres.url, `SELECT pg_terminate_backend(pid) ${session}`)
  await until(
    'the session has ended',
    async () => (await ask(server.postgres.url, `SELECT ${session}`)).length === 0,
  )
  link.cut()
  await result
  const sessions = `SELECT FROM pg_stat_activity WHERE datname = '${database}'`
  await until('it has no turn', async () => (await ask(server.postgres.url, sessions)).length === 0)
  await ask(server.postgres.url, `ALTER DATABASE ${database} ALLOW_CONNECTIONS true`)
  return true
}
