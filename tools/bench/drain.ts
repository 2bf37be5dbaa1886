import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { cpuMs, endedChildrenCpuMs, MEASURED_CORE, pinService, treeCpuMs } from './machine.ts'
import { metricsOf } from './metrics.ts'
import type { Pipeline } from '../stack/pipeline.ts'
import type { Stack } from './stack.ts'

export interface Drained {
  /** CPU time of the writing process and PostgreSQL per row, in microseconds. */
  cpuUs: number
  /** CPU time of the writing process alone, per row, in microseconds. */
  ownUs: number
  /** Rows per second of wall-clock time. */
  perSecond: number
}

/** What a sink drains, and how. */
export interface Backlog {
  /** Rows of the whole backlog. */
  records: number
  /** The first rows, which are not counted: a sink runs for months, so its start does not matter. */
  warmUp: number
  /** Settings of this sink. */
  env?: NodeJS.ProcessEnv
  /** Prepares the tables; by default, empties them and deletes the offsets. */
  prepare?: (stack: Stack) => Promise<void>
}

const COLUMNS = 'event_id, user_id, "timestamp", metadata, received_at'
/** Polling interval. Polling costs the sink time, so it is infrequent until the end is near. */
const FAR_MS = 100
const NEAR_MS = 10
const DRAIN_LIMIT_MS = 300_000

/** A backlog of which `rows` are measured. */
export function backlogOf(rows: number): Pick<Backlog, 'records' | 'warmUp'> {
  return { records: Math.round(rows * 1.04), warmUp: Math.round(rows * 0.04) }
}

/** Empties the table, deletes the offsets, and flushes what the previous run has left to be written. */
async function emptyTable({ pipeline }: Stack): Promise<void> {
  await pipeline.query('TRUNCATE events, dead_letters, sink_offsets')
  await pipeline.query('CHECKPOINT')
}

/** The number of rows and a checksum of their contents. @param where which rows, as SQL */
export async function tableDigest(db: Pick<Pipeline, 'query'>, where = 'true'): Promise<string> {
  const [row] = await db.query<{ digest: string }>(
    `SELECT count(*) || ' rows, sum ' || coalesce(sum(hashtextextended(e::text, 0)), 0) AS digest FROM events AS e WHERE ${where}`,
  )
  return row?.digest ?? ''
}

/**
 * A sink drains the topic into the table.
 *
 * @param main the sink's program
 */
export async function drainBySink(
  stack: Stack,
  main: string,
  { records, warmUp, env = {}, prepare = emptyTable }: Backlog,
): Promise<Drained & { rowsATransaction: number }> {
  await prepare(stack)
  const sink = await pinService(stack.pipeline.startService(main, 'SINK_PORT', env), MEASURED_CORE)
  const reach = async (
    rows: number,
  ): Promise<{ rows: number; own: number; server: number; atMs: number }> => {
    const deadlineMs = performance.now() + DRAIN_LIMIT_MS
    for (;;) {
      const health = await sink.health()
      const stored = Number(health?.total_stored ?? 0)
      if (Number(health?.total_duplicates ?? 0) + Number(health?.total_dead ?? 0) > 0)
        throw new Error('the sink found duplicates or dead letters: the backlog is not all new rows')
      if (performance.now() > deadlineMs) throw new Error(`the sink stored ${stored} rows in 5 minutes`)
      if (stored >= rows) {
        const own = cpuMs(sink.pid ?? 0)
        return { rows: stored, own, server: treeCpuMs(stack.postgresPid), atMs: performance.now() }
      }
      await delay(rows - stored > 50_000 ? FAR_MS : NEAR_MS)
    }
  }
  try {
    const [begin, end] = [await reach(warmUp), await reach(records)]
    const rows = end.rows - begin.rows
    const metric = await metricsOf(sink.url)
    return {
      cpuUs: ((end.own - begin.own + end.server - begin.server) * 1_000) / rows,
      ownUs: ((end.own - begin.own) * 1_000) / rows,
      perSecond: rows / ((end.atMs - begin.atMs) / 1_000),
      rowsATransaction: metric('firehose_sink_stored_total') / metric('firehose_sink_batch_records_count'),
    }
  } finally {
    await sink.stop(10_000)
  }
}

/** `psql \copy` loads the same rows from a file of COPY's text format. */
export async function drainByPsql(stack: Stack, file: string, records: number): Promise<Drained> {
  await emptyTable(stack)
  const [own, server, beganMs] = [endedChildrenCpuMs(), treeCpuMs(stack.postgresPid), performance.now()]
  await psql(stack, `\\copy events (${COLUMNS}) from '${file}'`)
  const spanMs = performance.now() - beganMs
  await sessionEnds(stack)
  const ownMs = endedChildrenCpuMs() - own
  return {
    cpuUs: ((ownMs + treeCpuMs(stack.postgresPid) - server) * 1_000) / records,
    ownUs: (ownMs * 1_000) / records,
    perSecond: records / (spanMs / 1_000),
  }
}

/** Waits until psql's backend has been reaped; until then its CPU time would be counted twice, for it and its parent. */
async function sessionEnds({ pipeline }: Stack): Promise<void> {
  const sessions = "SELECT 1 FROM pg_stat_activity WHERE application_name = 'psql'"
  while ((await pipeline.query(sessions)).length > 0) await delay(NEAR_MS)
}

/** Writes the table's rows to a file, in physical order. */
export async function dumpTable(stack: Stack, file: string): Promise<void> {
  await psql(stack, `\\copy (SELECT ${COLUMNS} FROM events) to '${file}'`)
}

async function psql({ pipeline }: Stack, command: string): Promise<void> {
  const args = ['-c', String(MEASURED_CORE), 'psql', '-X', '-q', '-c', command, pipeline.backend.postgres.url]
  const child = spawn('taskset', args, { stdio: ['ignore', 'ignore', 'inherit'] })
  const [code] = await once(child, 'exit')
  if (code !== 0) throw new Error(`psql exited with code ${code}`)
}
