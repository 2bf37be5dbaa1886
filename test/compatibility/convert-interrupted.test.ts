import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { addNotEra } from '../../maintenance/convert/swap.ts'
import { eraFrom, firstIdAt, partitionName, rangeAt, UNIT_MS } from '../../postgres/partitions/ranges.ts'
import { ask } from '../../tools/stack/ask.ts'
import { startPostgres } from '../../tools/stack/backends.ts'
import { catalogOf } from '../support/catalog.ts'
import { addRows, convertAt, oldDatabase, plainDatabase } from '../support/conversions.ts'
import { Maintained, textsOf } from '../support/maintained.ts'
import { connectAs } from '../support/sink-faults.ts'
import { until } from '../support/until.ts'

/* Conversions that were interrupted, or that others are in the way of. */

let server: Awaited<ReturnType<typeof startPostgres>>

before(async () => {
  server = await startPostgres()
})
after(async () => {
  await server?.close()
})

/** A row in the years that are partitioned. */
const ROW_OF_ERA = `INSERT INTO events (event_id, "timestamp", metadata, received_at)
  VALUES ('${firstIdAt(Date.now() + 400 * UNIT_MS.day)}', now(), '{}', now())`

test('an index build that was cancelled: what it left is dropped, and it is built again', async () => {
  const url = await oldDatabase(server.postgres.url, 'unfinished', 50)
  const blocker = await connectAs(url)
  await blocker.query('BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT FROM events LIMIT 1')
  const failed = assert.rejects(convertAt(url), /canceling statement/)
  await until('the build waits', async () => {
    const [row] = await ask(
      url,
      `SELECT pg_cancel_backend(pid) FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting for old snapshots'`,
    )
    return row !== undefined
  })
  await failed
  await blocker.end()
  const invalid = `SELECT indexrelid::regclass::text AS name FROM pg_index WHERE NOT indisvalid`
  assert.equal((await ask(url, invalid)).length, 1)
  const { outcome, done } = await convertAt(url)
  assert.equal(outcome, 'converted')
  assert.equal(done.filter((line) => /whose build had been interrupted, was dropped/.test(line)).length, 1)
  assert.deepEqual(await ask(url, invalid), [])
})

/** As a conversion leaves it that was killed while it read the table. */
async function addCheck(url: string, beginMs: number): Promise<void> {
  await ask(url, `${addNotEra('events', eraFrom(beginMs))} NOT VALID`)
}

test('a CHECK that a killed conversion left: maintenance drops it, and says what to do; if a query prevents that, it tries again soon', async () => {
  const url = await plainDatabase(server.postgres.url, 'left_alone')
  await addCheck(url, rangeAt('day', Date.now() + 3 * UNIT_MS.day).fromMs)
  const policy = {
    unit: 'day',
    userIndex: 'immediate',
    retentionDays: undefined,
    deadLetterDays: undefined,
  } as const
  const table = new Maintained(url, policy)
  const reader = await connectAs(url)
  await reader.query('BEGIN; SELECT FROM events')
  const hindered = await table.maintain(0)
  assert.ok(hindered.refusesSinks)
  assert.match(
    textsOf(hindered.actions).join(),
    /was not dropped, because other sessions use events all the time/,
  )
  await reader.end()
  const { actions, refusesSinks } = await table.maintain(0)
  assert.equal(refusesSinks, false)
  assert.match(textsOf(actions, 'problem').join(), /^A conversion of "events" was interrupted;/)
  await ask(url, ROW_OF_ERA)
  assert.deepEqual((await table.maintain(0)).actions, [])
})

test('while the CHECK is there, it refuses ids of the era alone; a later conversion goes on with it', async () => {
  const url = await plainDatabase(server.postgres.url, 'half_way')
  const begin = rangeAt('day', Date.now() + 3 * UNIT_MS.day)
  await addCheck(url, begin.fromMs)
  await assert.rejects(ask(url, ROW_OF_ERA), { code: '23514', constraint: 'firehose_not_era' })
  await addRows(url, 1)
  assert.equal((await convertAt(url)).outcome, 'converted')
  await ask(url, ROW_OF_ERA)
  assert.equal(await firstLeaf(url), partitionName(begin))
})

test('a CHECK whose era is about to begin is replaced by one of a later era', async () => {
  const url = await plainDatabase(server.postgres.url, 'late')
  const begin = rangeAt('day', Date.now() + 3 * UNIT_MS.day)
  await addCheck(url, begin.fromMs)
  assert.equal((await convertAt(url, { nowMs: begin.fromMs - 60_000 })).outcome, 'converted')
  assert.equal(await firstLeaf(url), partitionName(rangeAt('day', begin.toMs)))
})

test('a conversion that is ended while the CHECK is there drops it', async () => {
  const url = await plainDatabase(server.postgres.url, 'ended')
  await assert.rejects(
    convertAt(url, { until: ({ text }) => text.startsWith('From now until') }),
    /ended here/,
  )
  assert.deepEqual(
    (await catalogOf(url, 'public.events')).constraints?.filter((line) => line.startsWith('firehose')),
    [],
  )
  await ask(url, ROW_OF_ERA)
})

async function firstLeaf(url: string): Promise<string | undefined> {
  const sql = `SELECT min(inhrelid::regclass::text) FILTER (WHERE inhrelid::regclass::text ~ '[0-9]$') AS name
    FROM pg_inherits WHERE inhparent = 'events_era'::regclass`
  return (await ask<{ name: string }>(url, sql))[0]?.name
}

test('rows of the era for which the pause is too short: refused with the option, which then helps', async () => {
  const url = await plainDatabase(server.postgres.url, 'short')
  await ask(url, ROW_OF_ERA)
  for (const dryRun of [true, false]) {
    const { outcome, refused } = await convertAt(url, { longestPauseS: 0.1, dryRun })
    assert.equal(outcome, 'refused')
    assert.match(refused[0] ?? '', /^1 row .* wait for about 0\.\d s .*: allow it with --longest-pause 1$/)
  }
  assert.equal((await convertAt(url, { longestPauseS: 1 })).outcome, 'converted')
})

test('someone holds the table: nothing is changed, sinks go on, and it is tried again', async () => {
  const url = await plainDatabase(server.postgres.url, 'held')
  const holder = await connectAs(url)
  await holder.query('BEGIN; LOCK TABLE events IN ROW EXCLUSIVE MODE')
  const converting = convertAt(url)
  await until('it waits for the lock', async () => {
    const [row] = await ask(url, 'SELECT FROM pg_locks WHERE NOT granted')
    return row !== undefined
  })
  await until('it has given up', async () => {
    const [row] = await ask(url, 'SELECT FROM pg_locks WHERE NOT granted')
    return row === undefined
  })
  await addRows(url, 1)
  await holder.query('COMMIT')
  await holder.end()
  assert.equal((await converting).outcome, 'converted')
})
