import { readNowMs } from '../postgres/now.ts'
import { NOT_ERA } from '../postgres/partitions/create-tree.ts'
import { type EventsLayout, readLayout } from '../postgres/partitions/tree.ts'
import { makeAhead } from './ahead.ts'
import { analyzeTree } from './analyze.ts'
import { NO_STRAYS } from './beside-large.ts'
import { BriefTransactions } from './brief-transactions.ts'
import type { Clocks } from './clock-guard.ts'
import { closeLeaves } from './close.ts'
import { withConnection } from './connection.ts'
import { failureText, isBug } from './failure.ts'
import { dropCheck, hasCheck, leftCheck } from './left-checks.ts'
import { LongStatements } from './long-statements.ts'
import {
  type Action,
  type Policy,
  problem,
  type Step,
  STEPS,
  type WithLayout,
  type WithTree,
} from './maintenance.ts'
import { countAhead } from './missing-ranges.ts'
import { retain } from './retain.ts'
import { takeTurn } from './turn.ts'

const LONG_LIMIT_MS = 3_600_000
const INTERRUPTED = `A conversion of "events" was interrupted; its CHECK, because of which sinks may pause, goes. Run "npx firehose maintain --convert" again.`

export interface RunOptions {
  connectionString: string
  policy: Policy
  dryRun: boolean
  /** Instead of PostgreSQL's time, for rehearsals; milliseconds since 1970. */
  nowMs?: number | undefined
  /** Where retention sees the clocks of the APIs, which it depends on. */
  kafka?: Clocks['kafka']
  /** How long indexes may be built, and leaves vacuumed, in a run. Default an hour. */
  longLimitMs?: number | undefined
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
  /** Sinks may be refused until the next run, which should come soon. */
  refusesSinks: boolean
}

/** What each step does, with the tree as it is then. */
const WORK: Readonly<Record<Step, (run: WithLayout) => Promise<void>>> = {
  ahead: onTree(makeAhead),
  retain,
  close: onTree(async (run) => {
    await closeLeaves(run)
    await analyzeTree(run)
  }),
}

/**
 * One run of maintenance. START HERE: ahead, retain, close. Each step may be interrupted at any statement; the next run
 * goes on from what it finds in the database, which is the only state. A step that fails is a problem, and the next step
 * follows.
 *
 * @throws the driver's error if PostgreSQL cannot be reached, or the turn was lost; the reason of the signal; a mistake in
 *   Firehose
 */
export async function runOnce(options: RunOptions): Promise<RunResult> {
  const { connectionString, policy, signal } = options
  const actions: Action[] = []
  const report = (action: Action): void => {
    actions.push(action)
    options.report(action)
  }
  const nowMs = await withConnection(connectionString, async (db) => {
    await readLayout(db) // a table that is not ours is no matter of one step
    return options.nowMs ?? (await readNowMs(db))
  })
  const turn = await takeTurn(connectionString)
  const rest = { untilMs: 0 }
  // Each work has a connection of its own: the server ends that of a brief transaction that was not.
  const inRun = async (work: (run: WithLayout) => Promise<void>): Promise<void> =>
    await withConnection(connectionString, async (db) => {
      const brief = new BriefTransactions(db, signal, { rest })
      const long = new LongStatements(db, connectionString, signal, options.longLimitMs ?? LONG_LIMIT_MS)
      const { dryRun, kafka } = options
      const clocks = { isRehearsal: options.nowMs !== undefined, kafka }
      const layout = await readLayout(db)
      await work({ db, brief, long, policy, nowMs, clocks, dryRun, report, signal, layout })
    })
  let refusesSinks = false
  try {
    for (const step of turn === undefined ? [] : STEPS) {
      signal.throwIfAborted()
      await turn?.check()
      try {
        await inRun(WORK[step])
      } catch (error) {
        signal.throwIfAborted()
        if (isBug(error)) throw error
        report(problem(step, failureText(`The step "${step}" failed`, error)))
      }
    }
    if (turn !== undefined) await inRun(async (run) => void (refusesSinks = !(await letIn(run))))
  } finally {
    await turn?.release()
  }
  const facts = factsOf(await withConnection(connectionString, readLayout), policy, nowMs)
  return { outcome: turn === undefined ? 'busy' : 'done', actions, ...facts, refusesSinks }
}

/** Drops what keeps events out, if this run, an earlier one or a conversion has left it. @returns whether it is gone */
async function letIn(run: WithLayout): Promise<boolean> {
  const { layout, report } = run
  const [table, name] = layout.kind === 'tree' ? [layout.stray, NO_STRAYS] : [layout.root, NOT_ERA]
  const wasConverted = layout.kind === 'table' && (await hasCheck(run, table, name))
  if (wasConverted) report(problem('ahead', INTERRUPTED))
  const isGone = await dropCheck(run, table, name)
  if (!isGone) report(leftCheck(table, name))
  return isGone
}

function onTree(work: (run: WithTree) => Promise<void>): (run: WithLayout) => Promise<void> {
  return async ({ layout, ...run }) => {
    if (layout.kind === 'tree') await work({ ...run, tree: layout })
  }
}

/** Pure. */
function factsOf(
  layout: EventsLayout,
  { unit }: Policy,
  nowMs: number,
): Pick<RunResult, 'leaves' | 'ahead' | 'layout'> {
  if (layout.kind === 'table') return { leaves: 0, ahead: 0, layout: 'table' }
  const { leaves } = layout
  return { leaves: leaves.length, ahead: countAhead(unit, { leaves, nowMs }), layout: 'tree' }
}
