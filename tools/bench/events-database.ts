import pg from 'pg'
import { runOnce } from '../../maintenance/run.ts'
import { migrate } from '../../postgres/migrate.ts'
import { partitionNewTable } from '../../postgres/partitions/create-tree.ts'
import { USER_INDEXES } from '../../postgres/partitions/indexes.ts'
import {
  partitionName,
  rangeAt,
  type Range,
  RANGES_AHEAD,
  UNIT_MS,
} from '../../postgres/partitions/ranges.ts'
import { readLayout } from '../../postgres/partitions/tree.ts'

/*
 * Databases of one server with `events` in different layouts, to be measured in turns. Each has offsets of its own, so that
 * its sink drains the same topic, and no rows must be deleted. Their rows are of days in the past: the benchmark decides
 * which day it is (`nowMs`).
 */

/** `before`: one table, as it was before there were partitions; the others: leaves by day, by EVENTS_USER_INDEX. */
export type Layout = 'before' | 'immediate' | 'deferred'

export interface EventsDatabase {
  layout: Layout
  /** Name of the database. */
  name: string
  url: string
  /** Opens a connection for one statement: a database with sessions cannot be copied. */
  query: <R extends pg.QueryResultRow>(sql: string, values?: unknown[]) => Promise<R[]>
}

/** The BRIN that `events` had; the user indexes have not changed. */
const AS_BEFORE = `DROP INDEX events_timestamp_idx, events_received_at_idx;
  CREATE INDEX events_timestamp_idx ON events USING brin ("timestamp")`

/**
 * Creates a database with an empty `events`, whose leaves begin on the day before `nowMs`.
 *
 * @param server a connection string
 */
export async function createDatabase(
  server: string,
  name: string,
  layout: Layout,
  nowMs: number,
): Promise<EventsDatabase> {
  await onClient(server, async (client) => await client.query(`CREATE DATABASE ${name}`))
  const database = databaseOf(server, name, layout)
  await migrate(database.url, { partitioning: 'none' })
  if (layout === 'before') await database.query(AS_BEFORE)
  else
    await onClient(database.url, async (client) => {
      await client.query('BEGIN')
      await partitionNewTable(client, 'day', layout, nowMs)
      await client.query('COMMIT')
    })
  return database
}

/** Copies the files of a database, in place of the one of that name. */
export async function copyDatabase(
  server: string,
  from: EventsDatabase,
  name: string,
  layout: Layout,
): Promise<EventsDatabase> {
  await onClient(server, async (client) => {
    await client.query(`DROP DATABASE IF EXISTS ${name}`)
    await client.query(`CREATE DATABASE ${name} TEMPLATE ${from.name} STRATEGY file_copy`)
  })
  return databaseOf(server, name, layout)
}

/** A run of maintenance on that day. @throws if it reports a problem */
export async function maintain({ url, layout }: EventsDatabase, nowMs: number): Promise<void> {
  const { actions } = await runOnce({
    connectionString: url,
    policy: {
      unit: 'day',
      userIndex: layout === 'immediate' ? 'immediate' : 'deferred',
      retentionDays: undefined,
      deadLetterDays: undefined,
    },
    dryRun: false,
    nowMs,
    report: () => {},
    signal: new AbortController().signal,
  })
  const problem = actions.find(({ kind }) => kind === 'problem')
  if (problem !== undefined) throw new Error(problem.text)
}

/** Makes the leaves of these days, from the day at which `events` begins, as maintenance does while days go by. */
export async function makeDays(database: EventsDatabase, { fromMs, toMs }: Range): Promise<void> {
  for (let ms = fromMs; ms <= toMs; ms += RANGES_AHEAD.day * UNIT_MS.day) await maintain(database, ms)
}

/** Inserts rows with ids of that day: the first of them from its first second on, one each millisecond. */
export async function fillDay({ layout, query }: EventsDatabase, dayMs: number, rows: number): Promise<void> {
  const table = layout === 'before' ? 'events' : partitionName(rangeAt('day', dayMs))
  await query(fillStatement(table), [dayMs, rows])
}

/**
 * Removes the user indexes of the one table before it is filled, and builds them after it: faster than with each row, and
 * as full as an index that grew with rows of random users (about 70 %; an index that was just built has no room, so that
 * each of the next rows splits a page).
 */
export async function withoutUserIndexes(
  { query }: EventsDatabase,
  fill: () => Promise<void>,
): Promise<void> {
  const names = await query<{ name: string }>(
    `SELECT indexrelid::regclass AS name FROM pg_index WHERE indrelid = 'events'::regclass AND indpred IS NOT NULL`,
  )
  for (const { name } of names) await query(`DROP INDEX ${name}`)
  await fill()
  for (const { column, definition } of USER_INDEXES) {
    const index = `events_${column}_timestamp_idx`
    const create = `CREATE INDEX ${index} ON events ${definition.replace(' WHERE', ' WITH (fillfactor = 70) WHERE')}`
    await query(`SET maintenance_work_mem = '512MB'; ${create}; ALTER INDEX ${index} RESET (fillfactor)`)
  }
}

/** @throws if a leaf of these days lacks its user indexes, or has them although it should not */
export async function assertIndexes(
  { query, url, name }: EventsDatabase,
  { fromMs, toMs }: Range,
  isIndexed: boolean,
): Promise<void> {
  const layout = await onClient(url, readLayout)
  const leaves = layout.kind === 'tree' ? layout.leaves : []
  const ofDays = leaves.filter((leaf) => leaf.fromMs >= fromMs && leaf.toMs <= toMs)
  const expected = isIndexed ? USER_INDEXES.length : 0
  for (const leaf of ofDays) {
    const [row] = await query<{ count: number }>(
      `SELECT count(*)::int AS count FROM pg_index WHERE indrelid = $1 AND indisvalid AND indpred IS NOT NULL`,
      [leaf.oid],
    )
    if (row?.count !== expected)
      throw new Error(`${leaf.name} of ${name} has ${row?.count} user indexes instead of ${expected}`)
  }
  if (ofDays.length === 0) throw new Error(`${name} has no leaf of these days`)
}

/** Row `n` has a UUIDv7 (RFC 9562, 5.7) of its millisecond; all else is distributed as in tools/load/events.ts. */
function fillStatement(table: string): string {
  return `
  INSERT INTO ${table} (event_id, user_id, "timestamp", metadata, received_at, sent_check)
  SELECT (lpad(to_hex(ms), 12, '0') || '7' || lpad(to_hex(n % 4096), 3, '0') || '8' || substr(digest, 1, 15))::uuid,
         random(1, 1000000),
         to_timestamp(ms / 1000.0) - random(0, 999) * interval '1 second',
         format('{"n":%s,"page":"/shop/%s","session":"%s","price":%s.50,"view":{"w":1280,"h":%s,"tags":["a",null,true]}}',
                n, random(0, 4999), substr(digest, 16, 8), n % 100, random(0, 1999))::jsonb,
         to_timestamp(ms / 1000.0), random(0, 1099511627775)
  FROM (SELECT n, $1::bigint + n AS ms, md5(n::text) AS digest FROM generate_series(1, $2::bigint) AS n) AS series`
}

function databaseOf(server: string, name: string, layout: Layout): EventsDatabase {
  const url = new URL(server)
  url.pathname = `/${name}`
  return {
    layout,
    name,
    url: url.href,
    query: async (sql, values) =>
      await onClient(url.href, async (client) => (await client.query(sql, values)).rows),
  }
}

async function onClient<T>(url: string, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => {}) // the next query reports it
  await client.connect()
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
