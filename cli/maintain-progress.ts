import { setTimeout as delay } from 'node:timers/promises'
import type pg from 'pg'
import type { Screen } from '../platform/screen.ts'
import { connect } from '../postgres/connect.ts'

/** Most runs end before this, and need no progress. */
const FIRST_MS = 2_000
const LIVE_MS = 1_000
/** The time between two lines if there is no terminal. */
const LINE_MS = 10_000

/** What PostgreSQL reports of a long statement. */
export interface Progress {
  kind: 'vacuum' | 'index' | 'analyze'
  table: string
  phase: string
  /** Blocks. */
  done: number
  total: number
}

/**
 * Shows how far the run has got, until the signal aborts: one live line on a terminal, otherwise a line now and then on
 * standard error. Never throws: the run itself says what is wrong.
 */
export async function showProgress(
  connectionString: string,
  screen: Screen,
  signal: AbortSignal,
): Promise<void> {
  const beganMs = performance.now()
  try {
    await delay(FIRST_MS, undefined, { signal })
    const db = await connect(connectionString, () => ({ application_name: 'firehose-maintain-progress' }))
    try {
      while (!signal.aborted) {
        const line = progressLine(await readProgress(db), performance.now() - beganMs)
        if (screen.isTerminal) screen.live(line)
        else process.stderr.write(`${line}\n`)
        await delay(screen.isTerminal ? LIVE_MS : LINE_MS, undefined, { signal })
      }
    } finally {
      await db.end()
    }
  } catch {
    // The run has ended, or PostgreSQL does not answer.
  } finally {
    screen.live('')
  }
}

/** Pure. */
export function progressLine(progress: Progress | undefined, elapsedMs: number): string {
  const elapsed = `${Math.round(elapsedMs / 1_000)} s`
  if (progress === undefined) return `working for ${elapsed}`
  const { kind, table, phase, done, total } = progress
  const what = { vacuum: 'VACUUM of', index: 'index of', analyze: 'ANALYZE of' }[kind]
  const share = total > 0 ? `, ${Math.floor((100 * done) / total)}%` : ''
  return `${what} ${table}: ${phase}${share} (working for ${elapsed})`
}

async function readProgress(db: pg.Client): Promise<Progress | undefined> {
  return (await db.query<Progress>(READ_PROGRESS)).rows[0]
}

/** Only one process has its turn in a database, so its session is found by its name. */
const READ_PROGRESS = `
  SELECT kind, relid::regclass::text AS table, phase, coalesce(done, 0)::float8 AS done, coalesce(total, 0)::float8 AS total
  FROM (
    SELECT pid, relid, 'vacuum' AS kind, phase, heap_blks_scanned AS done, heap_blks_total AS total FROM pg_stat_progress_vacuum
    UNION ALL SELECT pid, relid, 'index', phase, blocks_done, blocks_total FROM pg_stat_progress_create_index
    UNION ALL SELECT pid, relid, 'analyze', phase, sample_blks_scanned, sample_blks_total FROM pg_stat_progress_analyze
  ) AS progress
  JOIN pg_stat_activity AS a USING (pid)
  WHERE application_name = 'firehose-maintain' AND datname = current_database() AND relid IS NOT NULL`
