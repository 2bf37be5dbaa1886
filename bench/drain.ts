import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as delay } from 'node:timers/promises'
import { cpuMs, endedChildrenCpuMs, MEASURED_CORE, pinService, treeCpuMs } from './machine.ts'
import type { Stack } from './stack.ts'

export interface Drained {
  /** CPU time of the writing process and of PostgreSQL for each row, microseconds. */
  cpuUs: number
  /** Of the writing process alone. */
  ownUs: number
  /** Rows a second, by the clock. */
  perSecond: number
}

const COLUMNS = 'event_id, user_id, "timestamp", metadata, received_at'
/** Asking the sink where it is takes some of its time: not often, until the end is near. */
const FAR_MS = 100
const NEAR_MS = 10

/** An empty table, no offsets, and nothing of the run before left to be written. */
async function emptyTable({ pipeline }: Stack): Promise<void> {
  await pipeline.query('TRUNCATE events, dead_letters, sink_offsets')
  await pipeline.query('CHECKPOINT')
}

/** How many rows there are, and a sum over their contents. */
export async function tableDigest({ pipeline }: Stack): Promise<string> {
  const [row] = await pipeline.query<{ digest: string }>(
    `SELECT count(*) || ' rows, sum ' || coalesce(sum(hashtextextended(e::text, 0)), 0) AS digest FROM events AS e`,
  )
  return row?.digest ?? ''
}

/**
 * A sink drains the topic into the empty table. The first `warmUp` rows are not counted: a sink runs for months.
 *
 * @param main the sink's program
 */
export async function drainBySink(
  stack: Stack,
  main: string,
  { records, warmUp }: { records: number; warmUp: number },
): Promise<Drained> {
  await emptyTable(stack)
  const sink = await pinService(stack.pipeline.startService(main, 'SINK_PORT'), MEASURED_CORE)
  const reach = async (
    rows: number,
  ): Promise<{ rows: number; own: number; server: number; atMs: number }> => {
    for (;;) {
      const stored = Number((await sink.health())?.total_stored ?? 0)
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
    return {
      cpuUs: ((end.own - begin.own + end.server - begin.server) * 1_000) / rows,
      ownUs: ((end.own - begin.own) * 1_000) / rows,
      perSecond: rows / ((end.atMs - begin.atMs) / 1_000),
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
  const ownMs = endedChildrenCpuMs() - own
  return {
    cpuUs: ((ownMs + treeCpuMs(stack.postgresPid) - server) * 1_000) / records,
    ownUs: (ownMs * 1_000) / records,
    perSecond: records / ((performance.now() - beganMs) / 1_000),
  }
}

/** Writes the table's rows into a file, in the order in which they lie there. */
export async function dumpTable(stack: Stack, file: string): Promise<void> {
  await psql(stack, `\\copy (SELECT ${COLUMNS} FROM events) to '${file}'`)
}

async function psql({ pipeline }: Stack, command: string): Promise<void> {
  const args = ['-c', String(MEASURED_CORE), 'psql', '-X', '-q', '-c', command, pipeline.backend.postgres.url]
  const child = spawn('taskset', args, { stdio: ['ignore', 'ignore', 'inherit'] })
  const [code] = await once(child, 'exit')
  if (code !== 0) throw new Error(`psql ended with exit code ${code}`)
}
