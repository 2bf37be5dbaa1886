import pg from 'pg'
import { migrate } from '../../postgres/migrate.ts'
import { writeBacklog } from './backlog.ts'
import type { Bench } from './bench.ts'
import { backlogOf, drainBySink, type Drained } from './drain.ts'
import { inTurns, quartiles } from './pairs.ts'
import { type Measurement, measurementOf } from './measurement.ts'
import { type Stack, startStack } from './stack.ts'

const PARTITIONS = 4
const ROWS_AN_INSERT = 1_000_000
/** The backlog's ids start an hour ago. */
const FILLED_UNTIL_MS = 2 * 3_600_000

interface TableOptions extends Bench {
  /** Rows in the table before the first drain. */
  tableRows: number
}

/** A table to drain into. */
interface Target {
  db: Pick<pg.Client, 'query'>
  /** Settings of its sink. */
  env: NodeJS.ProcessEnv
  /** SQL to run before each drain. */
  prepare: readonly string[]
  /** Rows expected after the next drain, without those of the backlog. */
  rows: number
  /** Whether it keeps its rows. */
  isKept: boolean
}

interface TableDrain extends Drained {
  /** Rows in the table now. */
  count: number
  /** Bytes of WAL per row, including full-page images after checkpoints. */
  walBytes: number
}

/**
 * Drains the same backlogs alternately into a table with many rows, which keeps growing, and into an empty one. The
 * tables are in two databases of one server, so that each has its own offsets and no rows must be deleted or vacuumed.
 * Checkpoints are left to the server: one before each drain would cause a full-page image of every page.
 *
 * @throws if a table does not hold the expected rows
 */
export async function benchTable(options: TableOptions): Promise<Measurement[]> {
  const stack = await startStack({ KAFKA_TOPIC_PARTITIONS: String(PARTITIONS) })
  try {
    const { url, db } = await openFull(stack)
    try {
      await fill(db, options.tableRows, options.say)
      const { tableRows } = options
      return await compare(stack, options, {
        empty: {
          db: stack.pipeline.db,
          env: {},
          prepare: ['TRUNCATE events'],
          rows: 0,
          isKept: false,
        },
        full: { db, env: { DATABASE_URL: url }, prepare: [], rows: tableRows, isKept: true },
      })
    } finally {
      await db.end()
    }
  } finally {
    await stack.pipeline.close()
  }
}

async function compare(
  stack: Stack,
  { rounds, rows, tableRows, say }: TableOptions,
  targets: { empty: Target; full: Target },
): Promise<Measurement[]> {
  const backlog = backlogOf(rows)
  const { records } = backlog
  let drains = 0
  const drainInto = (target: Target) => async (): Promise<TableDrain> => {
    // Both tables drain each backlog, so a new one is written before each pair.
    if (drains % 2 === 0) await writeBacklog(stack.pipeline, records)
    drains += 1
    let walBefore = 0
    const prepare = async (): Promise<void> => {
      for (const sql of target.prepare) await target.db.query(sql)
      walBefore = await walBytes(target.db)
    }
    const drained = await drainBySink(stack, 'sink-worker/main.ts', {
      ...backlog,
      env: target.env,
      prepare,
    })
    const walAfter = await walBytes(target.db)
    const count = await countRows(target.db)
    if (count !== target.rows + records)
      throw new Error(
        `the table holds ${count} rows instead of ${target.rows} and the ${records} of the backlog`,
      )
    if (target.isKept) target.rows = count
    return { ...drained, count, walBytes: (walAfter - walBefore) / records }
  }
  const variants = { empty: drainInto(targets.empty), full: drainInto(targets.full) }
  for (const warmUp of [variants.empty, variants.full]) await warmUp() // the first drains of a server are slower
  const results = await inTurns(rounds, variants, (name, round, { cpuUs, perSecond, count, ...more }) => {
    const cost = `${cpuUs.toFixed(2)} us of CPU and ${Math.round(more.walBytes)} bytes of WAL per row`
    const figures = `${Math.round(perSecond)} rows/s, ${cost}`
    say(`table ${round}/${rounds} ${name}: ${figures}; ${count.toLocaleString('en')} rows now`)
  })
  const notes = [`each drain stored all ${records} records; ${targets.full.rows} rows at the end`]
  return measurements(results, `drain into ${tableRows.toLocaleString('en')} rows`, notes)
}

function measurements(
  { full, empty }: Record<'full' | 'empty', TableDrain[]>,
  measurement: string,
  notes: string[],
): Measurement[] {
  const median = (runs: TableDrain[], key: 'ownUs' | 'walBytes'): string =>
    quartiles(runs.map((run) => run[key])).median.toFixed(1)
  const baseline = 'the same backlogs into an empty table'
  return [
    measurementOf(
      { measurement, baseline, unit: 'rows/s', must: 0.9, aim: 0.95, better: 'more', notes },
      full.map(({ perSecond }) => perSecond),
      empty.map(({ perSecond }) => perSecond),
    ),
    measurementOf(
      {
        measurement: `${measurement}, CPU`,
        baseline,
        unit: 'us of CPU per row, process and PostgreSQL',
        must: 1.5,
        aim: 1.1,
        notes: [
          `in the sink's process ${median(full, 'ownUs')} us; into an empty table ${median(empty, 'ownUs')} us`,
          `WAL per row ${median(full, 'walBytes')} bytes; into an empty table ${median(empty, 'walBytes')} bytes`,
        ],
      },
      full.map(({ cpuUs }) => cpuUs),
      empty.map(({ cpuUs }) => cpuUs),
    ),
  ]
}

/** Creates a separate database with our tables. */
async function openFull({ pipeline }: Stack): Promise<{ url: string; db: pg.Client }> {
  await pipeline.query('CREATE DATABASE firehose_full')
  const url = new URL(pipeline.backend.postgres.url)
  url.pathname = '/firehose_full'
  await migrate(url.href)
  const db = new pg.Client({ connectionString: url.href })
  db.on('error', () => {}) // the next query reports it
  await db.connect()
  return { url: url.href, db }
}

/** Inserts rows as 1,000 events/s in the past would have, with up-to-date statistics, as autovacuum would leave them. */
async function fill(db: pg.Client, tableRows: number, say: Bench['say']): Promise<void> {
  const startMs = Date.now() - FILLED_UNTIL_MS - tableRows
  for (let first = 0; first < tableRows; first += ROWS_AN_INSERT) {
    const last = Math.min(first + ROWS_AN_INSERT, tableRows) - 1
    await db.query(FILL, [startMs, first, last])
    say(`table: filled with ${(last + 1).toLocaleString('en')} of ${tableRows.toLocaleString('en')} rows`)
  }
  await db.query('VACUUM (ANALYZE) events')
  await db.query('CHECKPOINT')
  const { rows } = await db.query<{ size: string }>(
    "SELECT pg_size_pretty(pg_relation_size('events')) || ' and ' || pg_size_pretty(pg_indexes_size('events')) AS size",
  )
  say(`table: ${rows[0]?.size} of indexes`)
}

/** Row `n` has a UUIDv7 (RFC 9562, 5.7) of its millisecond; all else is distributed as in tools/load/events.ts. */
const FILL = `
  INSERT INTO events (event_id, user_id, "timestamp", metadata, received_at)
  SELECT (lpad(to_hex(ms), 12, '0') || '7' || lpad(to_hex(n % 4096), 3, '0') || '8' || substr(md5(n::text), 1, 15))::uuid,
         random(1, 1000000),
         to_timestamp(ms / 1000.0) - random(0, 999) * interval '1 second',
         format('{"n":%s,"page":"/shop/%s","session":"%s","price":%s.50,"view":{"w":1280,"h":%s,"tags":["a",null,true]}}',
                n, random(0, 4999), substr(md5(n::text), 1, 8), n % 100, random(0, 1999))::jsonb,
         to_timestamp(ms / 1000.0)
  FROM (SELECT n, $1::bigint + n AS ms FROM generate_series($2::bigint, $3::bigint) AS n) AS series`

/** Total bytes of WAL that the server has written. */
async function walBytes(db: Pick<pg.Client, 'query'>): Promise<number> {
  const { rows } = await db.query<{ bytes: number }>(
    "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8 AS bytes",
  )
  return rows[0]?.bytes ?? Number.NaN
}

async function countRows(db: Pick<pg.Client, 'query'>): Promise<number> {
  const { rows } = await db.query<{ count: string }>('SELECT count(*) FROM events')
  return Number(rows[0]?.count)
}
