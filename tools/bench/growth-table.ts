import { isIn } from '../../postgres/partitions/leaf.ts'
import { type Range, rangeAt, UNIT_MS } from '../../postgres/partitions/ranges.ts'
import { writeBacklog } from './backlog.ts'
import type { Bench } from './bench.ts'
import { backlogOf, drainBySink, tableDigest } from './drain.ts'
import {
  assertIndexes,
  copyDatabase,
  createDatabase,
  type EventsDatabase,
  fillDay,
  type Layout,
  maintain,
  makeDays,
  withoutUserIndexes,
} from './events-database.ts'
import {
  drainLine,
  type LayoutDrains,
  type LayoutName,
  tableMeasurements,
  type TableDrain,
} from './growth-table-results.ts'
import { ALL_CORES, OTHER_CORE, pin, treeCpuMs } from './machine.ts'
import type { Measurement } from './measurement.ts'
import { inTurns } from './pairs.ts'
import { type Stack, startStack } from './stack.ts'

const PARTITIONS = 4
/** From the first id of a backlog to that of the next one; ids are made at 4,096 a millisecond. */
const BACKLOG_MS = 60_000

export interface TableOptions extends Bench {
  /** Rows in the table before the drains, ascending. */
  tableRows: readonly number[]
  /** Rows of each day in the past. */
  leafRows: number
}

/**
 * Drains the same backlogs in turns into `events` in each layout, at each size, and beside full ones into an empty one. The
 * tables are in databases of one server, so that each has its own offsets. The rows that are there are of days in the past,
 * whose leaves are closed; the drained ones are of the day after those, whose leaf is closed when all is drained. A larger
 * size is reached by adding rows.
 *
 * Autovacuum is off, because it would disturb some drains and not others. What it would do then, or what `maintain` does
 * when the day is over, is measured on its own. Checkpoints are left to the server: one before each drain would cause a
 * full-page image of every page.
 *
 * @throws if a table does not hold the expected rows
 */
export async function benchTable(
  options: TableOptions,
): Promise<{ table: Measurement[]; layouts: LayoutDrains[] }> {
  const { tableRows, leafRows } = options
  const days = Math.ceil((tableRows.at(-1) ?? 0) / leafRows) + 2 * tableRows.length
  const dayMs = rangeAt('day', Date.now()).fromMs - days * UNIT_MS.day
  const stack = await startStack({ KAFKA_TOPIC_PARTITIONS: String(PARTITIONS) })
  try {
    const { pipeline } = stack
    await pipeline.query('ALTER SYSTEM SET autovacuum = off')
    await pipeline.query('SELECT pg_reload_conf()')
    const server = pipeline.backend.postgres.url
    const tables = new Tables(stack, options, dayMs, {
      before: await createDatabase(server, 'firehose_before', 'before', dayMs),
      immediate: await createDatabase(server, 'firehose_immediate', 'immediate', dayMs),
      deferred: await createDatabase(server, 'firehose_deferred', 'deferred', dayMs),
    })
    const layouts: LayoutDrains[] = []
    for (const rows of tableRows) layouts.push(...(await tables.measure(rows)))
    return { table: tableMeasurements(layouts), layouts }
  } finally {
    await stack.pipeline.close()
  }
}

/** The tables: those that grow together and, as soon as they are not empty, one that stays so. */
type Databases = Record<Layout, EventsDatabase> & { empty?: EventsDatabase }

class Tables {
  readonly #stack: Stack
  readonly #options: TableOptions
  readonly #databases: Databases
  /** The current day of the benchmark. */
  #dayMs: number
  /** Rows in each of the full tables. */
  #rows = 0
  #backlogs = 0
  /** The checksum that the rows of the current backlog have in the first table that drained it. */
  #sum: string | undefined

  constructor(stack: Stack, options: TableOptions, dayMs: number, databases: Databases) {
    this.#stack = stack
    this.#options = options
    this.#dayMs = dayMs
    this.#databases = databases
  }

  /** The drains at this size. */
  async measure(size: number): Promise<LayoutDrains[]> {
    const { rounds, rows, say } = this.#options
    if (size > 0) await this.#fill(size)
    const databases = Object.entries(this.#databases) as [LayoutName, EventsDatabase][]
    for (const [, database] of databases) await this.#openDay(database)
    const { records } = backlogOf(rows)
    const isEmptied = (name: LayoutName): boolean => size === 0 || name === 'empty'
    const variants = Object.fromEntries(
      databases.map(([name, database]) => [name, async () => await this.#drain(database, isEmptied(name))]),
    ) as Record<LayoutName, () => Promise<TableDrain>>
    const beforeRound = async (): Promise<void> => {
      this.#backlogs += 1
      this.#sum = undefined
      if (size > 0) this.#rows += records
      await writeBacklog(this.#stack.pipeline, records, { startedAtMs: this.#backlogRange().fromMs })
    }
    await inTurns(1, variants, () => {}, beforeRound) // the first drains of a server are slower
    const onRun = (name: LayoutName, round: number, drain: TableDrain): void =>
      say(`table ${round}/${rounds} ${name}, ${size.toLocaleString('en')} rows: ${drainLine(drain)}`)
    const results = await inTurns(rounds, variants, onRun, beforeRound)

    const layouts: LayoutDrains[] = []
    for (const [name, database] of databases) {
      const later = await this.#closeDay(database, records * (isEmptied(name) ? 1 : rounds + 1))
      say(`table ${name}, ${size.toLocaleString('en')} rows: ${later.us.toFixed(2)} us per row later`)
      layouts.push({ rows: size, name, drains: results[name], later })
    }
    this.#dayMs += UNIT_MS.day
    return layouts
  }

  async #drain(database: EventsDatabase, isEmptied: boolean): Promise<TableDrain> {
    const { records, warmUp } = backlogOf(this.#options.rows)
    let walBefore = 0
    const prepare = async (): Promise<void> => {
      if (isEmptied) await database.query('TRUNCATE events')
      walBefore = await walBytes(database)
    }
    const env = { DATABASE_URL: database.url }
    const drained = await drainBySink(this.#stack, 'sink-worker/main.ts', { records, warmUp, env, prepare })
    const wal = (await walBytes(database)) - walBefore
    await this.#check(database, records, isEmptied ? records : this.#rows)
    const { perSecond, ownUs, cpuUs } = drained
    return { perSecond, ownUs, serverUs: cpuUs - ownUs, walBytes: wal / records }
  }

  /** @throws if the rows of the backlog are not the same in all tables, or others are missing */
  async #check(database: EventsDatabase, records: number, all: number): Promise<void> {
    const [row] = await database.query<{ count: number }>('SELECT count(*)::float8 AS count FROM events')
    if (row?.count !== all) throw new Error(`${database.name} holds ${row?.count} rows instead of ${all}`)
    const sum = await tableDigest(database, isIn(this.#backlogRange()))
    if (!sum.startsWith(`${records} rows`)) throw new Error(`${records} records became ${sum}`)
    this.#sum ??= sum
    if (sum !== this.#sum) throw new Error(`${database.name} holds ${sum} instead of ${this.#sum}`)
  }

  /** Fills two tables at the same time; the other ones are copies. The day after the filled ones begins. */
  async #fill(size: number): Promise<void> {
    const { leafRows, say } = this.#options
    const { pipeline, postgresPid } = this.#stack
    const server = pipeline.backend.postgres.url
    const { before, deferred } = this.#databases
    const missing = size - this.#rows
    const beganMs = performance.now()
    pin(postgresPid, ALL_CORES)
    if (this.#rows === 0) {
      for (const each of [before, deferred]) await each.query('TRUNCATE events')
      this.#databases.empty = await copyDatabase(server, deferred, 'firehose_empty', 'deferred')
    }
    const days: { dayMs: number; rows: number }[] = []
    for (let rows = 0; rows < missing; rows += leafRows) {
      days.push({ dayMs: this.#dayMs, rows: Math.min(leafRows, missing - rows) })
      this.#dayMs += UNIT_MS.day
    }
    const fill = async (database: EventsDatabase): Promise<void> => {
      for (const { dayMs, rows } of days) await fillDay(database, dayMs, rows)
      say(`table: ${database.layout} filled with ${missing.toLocaleString('en')} rows`)
    }
    const fillLeaves = async (): Promise<void> => {
      await makeDays(deferred, { fromMs: days[0]?.dayMs ?? this.#dayMs, toMs: this.#dayMs })
      await fill(deferred)
      await maintain(deferred, this.#dayMs)
    }
    const fillTable = async (): Promise<void> => {
      await withoutUserIndexes(before, async () => await fill(before))
      await before.query('VACUUM (ANALYZE) events')
    }
    await Promise.all([fillLeaves(), fillTable()])
    await assertIndexes(deferred, { fromMs: days[0]?.dayMs ?? 0, toMs: this.#dayMs }, true)
    this.#databases.immediate = await copyDatabase(server, deferred, 'firehose_immediate', 'immediate')
    this.#rows = size
    await pipeline.query('CHECKPOINT')
    pin(postgresPid, OTHER_CORE)
    const [disk] = await pipeline.query<{ size: string }>(
      'SELECT pg_size_pretty(sum(pg_database_size(oid))) AS size FROM pg_database',
    )
    say(`table: ready after ${Math.round((performance.now() - beganMs) / 1_000)} s, ${disk?.size} on disk`)
  }

  /** Makes the leaf of the day. */
  async #openDay(database: EventsDatabase): Promise<void> {
    if (database.layout === 'before') return
    await maintain(database, this.#dayMs)
    await assertIndexes(database, rangeAt('day', this.#dayMs), database.layout === 'immediate')
  }

  /** What is to be done for the drained rows later: by autovacuum, or by `maintain` after the end of the day. */
  async #closeDay(database: EventsDatabase, drained: number): Promise<LayoutDrains['later']> {
    await database.query('CHECKPOINT')
    const [before, beganMs] = [treeCpuMs(this.#stack.postgresPid), performance.now()]
    if (database.layout === 'before') await database.query('VACUUM (ANALYZE) events')
    else await maintain(database, this.#dayMs + UNIT_MS.day)
    const [after, endedMs] = [treeCpuMs(this.#stack.postgresPid), performance.now()]
    if (database.layout !== 'before') await assertIndexes(database, rangeAt('day', this.#dayMs), true)
    return { us: ((after - before) * 1_000) / drained, seconds: (endedMs - beganMs) / 1_000 }
  }

  /** The ids of the current backlog. */
  #backlogRange(): Range {
    const fromMs = this.#dayMs + this.#backlogs * BACKLOG_MS
    return { fromMs, toMs: fromMs + BACKLOG_MS }
  }
}

/** Total bytes of WAL that the server has written. */
async function walBytes({ query }: EventsDatabase): Promise<number> {
  const [row] = await query<{ bytes: number }>(
    "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 AS bytes",
  )
  return row?.bytes ?? Number.NaN
}
