import pg from 'pg'
import { type Range, rangeAt, UNIT_MS } from '../../postgres/partitions/ranges.ts'
import { formatTable } from '../../platform/table.ts'
import { startPostgres } from '../stack/backends.ts'
import type { Bench } from './bench.ts'
import { benchDuplicates } from './duplicates.ts'
import {
  assertIndexes,
  createDatabase,
  type EventsDatabase,
  fillDay,
  maintain,
  makeDays,
} from './events-database.ts'
import { type Measurement, reaches } from './measurement.ts'
import { quartiles } from './pairs.ts'

/** Leaves that are closed; the open one and those ahead come on top. */
const FEW_LEAVES = 30
const MANY_LEAVES = 400
/** Rows of the open leaf, in leaves. */
const OPEN_LEAVES = 4
const CLOSED_LOOKUPS = 500
const OPEN_LOOKUPS = 100
const PLANNINGS = 50
/** As fillDay() draws them. */
const USERS = 1_000_000

/** Of each search for a user: how long it took the client. */
interface Lookups {
  what: string
  count: number
  p50Ms: number
  p99Ms: number
  /** Upper bound of `p99Ms`; none where it is only reported. */
  mustMs: number | undefined
}

export interface Users {
  lookups: Lookups[]
  duplicates: Measurement
}

export interface UsersOptions extends Bench {
  /** Rows of each closed leaf. */
  leafRows: number
}

const NEWEST = 'SELECT * FROM events WHERE user_id = $1 ORDER BY "timestamp" DESC LIMIT 50'

/**
 * What the layout of leaves costs those who read: the 50 newest rows of a user in many leaves, and in an open one without
 * an index of users; the planning of that; and the sink's comparison of a batch whose ids are all stored.
 */
export async function benchUsers({ rounds, leafRows, say }: UsersOptions): Promise<Users> {
  const { postgres, close } = await startPostgres()
  try {
    const today = rangeAt('day', Date.now()).fromMs
    const few = await createDatabase(
      postgres.url,
      'firehose_few',
      'deferred',
      today - FEW_LEAVES * UNIT_MS.day,
    )
    await fillDays(few, daysBefore(today, FEW_LEAVES), leafRows)
    say(`users: ${FEW_LEAVES} leaves of ${leafRows.toLocaleString('en')} rows are closed`)
    const closed = `50 newest rows of a user, ${FEW_LEAVES} closed leaves of ${leafRows.toLocaleString('en')} rows`
    const lookups = [await lookUp(few, closed, CLOSED_LOOKUPS, 50), await plan(few, FEW_LEAVES)]
    const openRows = OPEN_LEAVES * leafRows
    await fillDay(few, today, openRows)
    await few.query('VACUUM (ANALYZE) events') // as autovacuum does
    const open = `the same, with an open leaf of ${openRows.toLocaleString('en')} rows without an index of users`
    lookups.push(await lookUp(few, open, OPEN_LOOKUPS, 500))

    const firstDay = today - MANY_LEAVES * UNIT_MS.day
    const many = await createDatabase(postgres.url, 'firehose_many', 'deferred', firstDay)
    const one = await createDatabase(postgres.url, 'firehose_one', 'before', firstDay)
    const days = daysBefore(today, MANY_LEAVES)
    for (const database of [many, one]) await fillDays(database, days, Math.ceil(leafRows / MANY_LEAVES))
    say(`users: ${MANY_LEAVES} leaves are closed`)
    lookups.push(await plan(many, MANY_LEAVES))
    return { lookups, duplicates: await benchDuplicates({ many, one }, days, { rounds, say }) }
  } finally {
    await close()
  }
}

/** Whether all is within its bounds. */
export function isFound({ lookups, duplicates }: Users): boolean {
  return (
    reaches(duplicates, duplicates.must) && lookups.every(({ p99Ms, mustMs = Infinity }) => p99Ms <= mustMs)
  )
}

/** The table for the terminal. */
export function lookupTable({ lookups }: Users): string {
  const rows = lookups.map(({ what, count, p50Ms, p99Ms, mustMs }) => [
    what,
    String(count),
    `${p50Ms.toFixed(2)} ms`,
    `${p99Ms.toFixed(2)} ms`,
    ...(mustMs === undefined ? ['', ''] : [`<= ${mustMs} ms`, p99Ms <= mustMs ? 'met' : 'NOT MET']),
  ])
  return formatTable(['time', 'times', 'p50', 'p99', 'must', ''], rows, 100)
}

async function fillDays(database: EventsDatabase, days: readonly Range[], rows: number): Promise<void> {
  const endMs = days.at(-1)?.toMs ?? 0
  if (database.layout === 'before') {
    for (const { fromMs } of days) await fillDay(database, fromMs, rows)
    await database.query('VACUUM (ANALYZE) events')
    return
  }
  await makeDays(database, { fromMs: days[0]?.fromMs ?? endMs, toMs: endMs })
  const left = [...days]
  const fill = async (): Promise<void> => {
    for (let day = left.shift(); day !== undefined; day = left.shift())
      await fillDay(database, day.fromMs, rows)
  }
  await Promise.all([fill(), fill()])
  await maintain(database, endMs)
  await assertIndexes(database, { fromMs: days[0]?.fromMs ?? 0, toMs: endMs }, true)
}

function daysBefore(ms: number, count: number): Range[] {
  return Array.from({ length: count }, (_, n) => rangeAt('day', ms - (count - n) * UNIT_MS.day))
}

async function lookUp(
  { url }: EventsDatabase,
  what: string,
  count: number,
  mustMs: number,
): Promise<Lookups> {
  const times = await timesOf(url, count, async (client, n) => {
    const beganMs = performance.now()
    const { rows } = await client.query(NEWEST, [userOf(n)])
    const ms = performance.now() - beganMs
    if (!rows.every((row) => row.user_id === String(userOf(n)))) throw new Error('rows of another user')
    return ms
  })
  return { what, count, ...percentiles(times), mustMs }
}

async function plan({ url }: EventsDatabase, leaves: number): Promise<Lookups> {
  const times = await timesOf(url, PLANNINGS, async (client, n) => {
    const { rows } = await client.query(
      `EXPLAIN (SUMMARY, FORMAT JSON) ${NEWEST.replace('$1', String(userOf(n)))}`,
    )
    return rows[0]['QUERY PLAN'][0]['Planning Time'] as number
  })
  return {
    what: `planning of that at ${leaves} leaves`,
    count: PLANNINGS,
    ...percentiles(times),
    mustMs: undefined,
  }
}

/** Of the calls after the first, which reads the catalog. */
async function timesOf(
  url: string,
  count: number,
  one: (client: pg.Client, n: number) => Promise<number>,
): Promise<number[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    const times: number[] = []
    for (let n = 0; n <= count; n++) times.push(await one(client, n))
    return times.slice(1)
  } finally {
    await client.end()
  }
}

/** Users far from each other. */
function userOf(n: number): number {
  return ((n * 7_919) % USERS) + 1
}

function percentiles(times: readonly number[]): { p50Ms: number; p99Ms: number } {
  const sorted = times.toSorted((a, b) => a - b)
  return { p50Ms: quartiles(times).median, p99Ms: sorted[Math.ceil(0.99 * sorted.length) - 1] ?? Number.NaN }
}
