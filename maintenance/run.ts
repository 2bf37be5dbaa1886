import { connect } from '../postgres/connect.ts'
import { readLayout } from '../postgres/partitions/tree.ts'
import { makeAhead } from './ahead.ts'
import { BriefTransactions } from './brief-transactions.ts'
import type { Action, Policy } from './maintenance.ts'
import { takeTurn } from './turn.ts'

export interface RunOptions {
  connectionString: string
  policy: Policy
  dryRun: boolean
  /** Instead of PostgreSQL's time, for rehearsals. */
  nowMs?: number | undefined
  report: (action: Action) => void
  signal: AbortSignal
}

/**
 * One run of maintenance. START HERE: ahead, retain, close. Each step may be interrupted at any statement; the next run
 * goes on from what it finds in the database, which is the only state.
 *
 * @returns false if another process is at it
 * @throws the driver's error, or the reason of the signal
 */
export async function runOnce(options: RunOptions): Promise<boolean> {
  const { connectionString, policy, dryRun, report, signal } = options
  const turn = await takeTurn(connectionString)
  if (turn === undefined) return false
  try {
    const db = await connect(connectionString, () => ({ application_name: 'firehose-maintain' }))
    try {
      const nowMs = options.nowMs ?? (await readNowMs(db))
      const run = { db, brief: new BriefTransactions(db, signal), policy, nowMs, dryRun, report, signal }
      const layout = await readLayout(db)
      if (layout.kind === 'tree') await makeAhead({ ...run, tree: layout })
      return true
    } finally {
      await db.end().catch(() => {})
    }
  } finally {
    await turn.release()
  }
}

async function readNowMs(db: Awaited<ReturnType<typeof connect>>): Promise<number> {
  const { rows } = await db.query<{ ms: number }>(
    'SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::float8 AS ms',
  )
  return rows[0]?.ms ?? Number.NaN
}
