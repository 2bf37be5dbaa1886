import { plural } from '../platform/units.ts'
import { UNIT_MS } from '../postgres/partitions/ranges.ts'
import type { TreeTable } from '../postgres/partitions/tree.ts'
import { findClockProblem } from './clock-guard.ts'
import type { Action, Maintenance, WithLayout, WithTree } from './maintenance.ts'
import { refusalText } from './retain-error.ts'
import { deleteOldLetters } from './retain-letters.ts'
import { dropLeaf, oldLeaves } from './retain-leaves.ts'
import { deleteOldRows } from './retain-rows.ts'

/** So many leaves in a row without their locks: someone has the locks that all of them need. */
const MOST_LOCKED_OUT = 3

/**
 * Deletes what is older than it is to be kept: leaves as a whole, rows elsewhere by received_at, and dead letters that were
 * dealt with. What cannot be deleted is a problem that is reported, and the rest is deleted all the same.
 *
 * @throws the driver's error if the connection is lost; the signal's reason
 */
export async function retain(run: WithLayout): Promise<void> {
  const { db, clocks, layout, nowMs, policy } = run
  const { retentionDays, deadLetterDays } = policy
  if (retentionDays === undefined && deadLetterDays === undefined) return
  const problem = await findClockProblem(db, clocks, nowMs)
  if (problem !== undefined) return say(run, 'problem', 0, `Nothing was deleted: ${problem}.`)
  if (retentionDays !== undefined) {
    const before = new Date(nowMs - retentionDays * UNIT_MS.day)
    if (layout.kind === 'tree') await retainLeaves({ ...run, tree: layout }, before)
    const tables = layout.kind === 'tree' ? [layout.stray, layout.other] : [layout.root]
    for (const table of tables) await retainRows(run, table, before)
  }
  if (deadLetterDays !== undefined) await retainLetters(run, new Date(nowMs - deadLetterDays * UNIT_MS.day))
}

/** One that others have locked keeps the next ones from being dropped only if it is so with those, too. */
async function retainLeaves(run: WithTree, before: Date): Promise<void> {
  const { tree, dryRun, signal } = run
  let lockedOut = 0
  for (const leaf of oldLeaves(tree.leaves, before)) {
    signal.throwIfAborted()
    const { name } = leaf
    await orSayWhy(run, `${name} ${dryRun ? 'would not be' : 'was not'} dropped`, async () => {
      const dropped = await dropLeaf(run, leaf, before, lockedOut === 0 ? undefined : 1)
      if (dropped === undefined) {
        lockedOut += 1
        const who = `other sessions, such as a long query, use it or ${tree.era.name} all the time`
        const text = `${name} was not dropped: ${who}. When they have ended, run "npx firehose maintain" again.`
        return say(run, 'problem', 0, text)
      }
      lockedOut = Math.min(lockedOut, 1)
      const { contents, moved } = dropped
      say(run, 'dropped', 1, `${name} ${dryRun ? 'would be' : 'was'} dropped (${contents}).`)
      const late = `${plural(moved, 'late row')} of ${name}`
      if (moved > 0) say(run, 'moved', moved, `${late} ${became(run, moved)} moved to ${tree.stray.name}.`)
    })
    if (lockedOut === MOST_LOCKED_OUT) return
  }
}

async function retainRows(run: Maintenance, table: TreeTable, before: Date): Promise<void> {
  await orSayWhy(run, `Old rows of ${table.name} stay`, async () => {
    const deleted = await deleteOldRows(run, table, before)
    const rows = `${plural(deleted, 'row')} of ${table.name}`
    if (deleted === 0) return
    const text = `${rows} ${became(run, deleted)} deleted: received before ${minute(before)}.`
    say(run, 'deleted', deleted, text)
  })
}

async function retainLetters(run: Maintenance, before: Date): Promise<void> {
  await orSayWhy(run, 'Old dead letters stay', async () => {
    const deleted = await deleteOldLetters(run, before)
    const letters = plural(deleted, 'dead letter')
    if (deleted === 0) return
    const text = `${letters} ${became(run, deleted)} deleted: replayed or discarded before ${minute(before)}.`
    say(run, 'letters', deleted, text)
  })
}

async function orSayWhy(run: Maintenance, what: string, work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    const text = refusalText(what, error)
    if (text === undefined) throw error
    say(run, 'problem', 0, text)
  }
}

/** `2027-01-31 12:00 UTC` */
function minute(moment: Date): string {
  return `${moment.toISOString().slice(0, 16).replace('T', ' ')} UTC`
}

function became({ dryRun }: Maintenance, count: number): string {
  if (dryRun) return 'would be'
  return count === 1 ? 'was' : 'were'
}

function say({ report }: Maintenance, kind: Action['kind'], count: number, text: string): void {
  report({ step: 'retain', kind, count, text })
}
