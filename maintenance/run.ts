import type pg from 'pg'
import { connect } from '../postgres/connect.ts'
import { rangeAt, type PartitionUnit } from '../postgres/partitions/ranges.ts'
import { type EventsLayout, type Leaf, readLayout } from '../postgres/partitions/tree.ts'
import { makeAhead } from './ahead.ts'
import { BriefTransactions } from './brief-transactions.ts'
import type { Action, Policy } from './maintenance.ts'
import { retain } from './retain.ts'
import { takeTurn } from './turn.ts'

export interface RunOptions {
  connectionString: string
  policy: Policy
  dryRun: boolean
  /** Instead of PostgreSQL's time, for rehearsals; milliseconds since 1970. */
  nowMs?: number | undefined
  report: (action: Action) => void
  signal: AbortSignal
}

export interface RunResult {
  /** `busy`: another process is at it, so nothing was done. */
  outcome: 'done' | 'busy'
  /** What was reported, in order. */
  actions: Action[]
  /** How many leaves there are now; 0 in a table without partitions. */
  leaves: number
  /** How many ranges after the current one have a leaf, without a gap. */
  ahead: number
  layout: 'table' | 'tree'
}

/**
 * One run of maintenance. START HERE: ahead, retain, close. Each step may be interrupted at any statement; the next run
 * goes on from what it finds in the database, which is the only state.
 *
 * @throws the driver's error, or the reason of the signal
 */
export async function runOnce(options: RunOptions): Promise<RunResult> {
  const { connectionString, policy, dryRun, signal } = options
  const actions: Action[] = []
  const report = (action: Action): void => {
    actions.push(action)
    options.report(action)
  }
  const db = await connect(connectionString, () => ({ application_name: 'firehose-maintain' }))
  try {
    const nowMs = options.nowMs ?? (await readNowMs(db))
    const turn = await takeTurn(connectionString)
    if (turn !== undefined) {
      try {
        const run = { db, brief: new BriefTransactions(db, signal), policy, nowMs, dryRun, report, signal }
        const layout = await readLayout(db)
        if (layout.kind === 'tree') await makeAhead({ ...run, tree: layout })
        await retain({ ...run, layout: await readLayout(db) })
      } finally {
        await turn.release()
      }
    }
    const outcome = turn === undefined ? 'busy' : 'done'
    return { outcome, actions, ...factsOf(await readLayout(db), policy.unit, nowMs) }
  } finally {
    await db.end().catch(() => {})
  }
}

/** Pure. */
function factsOf(
  layout: EventsLayout,
  unit: PartitionUnit,
  nowMs: number,
): Pick<RunResult, 'leaves' | 'ahead' | 'layout'> {
  if (layout.kind === 'table') return { leaves: 0, ahead: 0, layout: 'table' }
  return { leaves: layout.leaves.length, ahead: countAhead(layout.leaves, unit, nowMs), layout: 'tree' }
}

/** How many ranges after the current one have leaves, without a gap. Pure. */
export function countAhead(
  leaves: readonly Pick<Leaf, 'fromMs' | 'toMs'>[],
  unit: PartitionUnit,
  nowMs: number,
): number {
  const isCovered = ({ fromMs, toMs }: { fromMs: number; toMs: number }): boolean => {
    let atMs = fromMs
    for (const leaf of leaves) if (leaf.fromMs <= atMs && leaf.toMs > atMs) atMs = leaf.toMs
    return atMs >= toMs
  }
  let count = 0
  for (let range = rangeAt(unit, nowMs); isCovered((range = rangeAt(unit, range.toMs))); ) count++
  return count
}

async function readNowMs(db: pg.Client): Promise<number> {
  const { rows } = await db.query<{ ms: number }>(
    'SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::float8 AS ms',
  )
  return rows[0]?.ms ?? Number.NaN
}
