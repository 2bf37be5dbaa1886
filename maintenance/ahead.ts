import {
  attachLeaf,
  createLeaf,
  isIn,
  leafTable,
  type LeafModel,
  readLeafModel,
} from '../postgres/partitions/leaf.ts'
import { type Range, rangeAt, rangesAhead, type PartitionUnit } from '../postgres/partitions/ranges.ts'
import type { Tree } from '../postgres/partitions/tree.ts'
import type { Maintenance, WithTree } from './maintenance.ts'
import { moveRows } from './move-rows.ts'

/** A range with more strays than this gets no leaf: moving them would hold up the sinks. */
const MOST_STRAYS = 10_000

/** Makes the leaves that are missing, from the oldest that exists to those ahead. */
export async function makeAhead(run: WithTree): Promise<void> {
  const { db, tree, policy, nowMs } = run
  const missing = missingRanges(tree, policy.unit, { nowMs, keptFromMs: keptFromMs(run) })
  if (missing.length === 0) return
  const model = await readLeafModel(db, tree.stray.name)
  for (const range of missing) {
    run.signal.throwIfAborted()
    await makeLeaf(run, model, range)
  }
}

/** The moment before which retention drops leaves, so that none is made there; undefined without retention. Pure. */
function keptFromMs({ policy, nowMs }: Maintenance): number | undefined {
  return policy.retentionDays === undefined ? undefined : nowMs - policy.retentionDays * 86_400_000
}

/**
 * The ranges without a leaf, whatever ids clients send: from the oldest leaf to those ahead of now, but none that retention
 * would drop, and none that overlaps a leaf (of another unit, after EVENTS_PARTITION has changed). Pure.
 */
export function missingRanges(
  { leaves, era }: Pick<Tree, 'leaves' | 'era'>,
  unit: PartitionUnit,
  { nowMs, keptFromMs: fromMs = -Infinity }: { nowMs: number; keptFromMs?: number | undefined },
): Range[] {
  const ahead = rangesAhead(unit, nowMs)
  const oldest = Math.min(leaves[0]?.fromMs ?? Infinity, ahead[0]!.fromMs)
  const wanted: Range[] = []
  for (let range = rangeAt(unit, oldest); range.fromMs < ahead[0]!.fromMs; range = rangeAt(unit, range.toMs))
    wanted.push(range)
  return [...wanted, ...ahead].filter(
    (range) =>
      range.toMs > fromMs &&
      range.fromMs >= era.fromMs &&
      range.toMs <= era.toMs &&
      leaves.every((leaf) => leaf.toMs <= range.fromMs || leaf.fromMs >= range.toMs),
  )
}

async function makeLeaf(run: WithTree, model: LeafModel, range: Range): Promise<void> {
  const { db, brief, tree, policy, report, dryRun } = run
  const leaf = leafTable(range, model)
  const strays = await countStrays(run, range)
  if (strays > MOST_STRAYS) {
    report({
      step: 'ahead',
      kind: 'problem',
      count: 0,
      text: `${leaf} was not made: more than ${MOST_STRAYS.toLocaleString('en')} of its rows are in ${tree.stray.name}, where they stay.`,
    })
    return
  }
  const moved = strays === 0 ? '' : `, with ${strays} rows that were in ${tree.stray.name}`
  if (dryRun) {
    report({ step: 'ahead', kind: 'made', count: 1, text: `${leaf} would be made${moved}.` })
    return
  }
  const attempt = await brief.run(
    [
      { table: tree.era.name, mode: 'SHARE UPDATE EXCLUSIVE' },
      { table: tree.stray.name, mode: 'ACCESS EXCLUSIVE' },
    ],
    async () => {
      for (const statement of createLeaf(range, model, policy.userIndex)) await db.query(statement)
      await moveRows(db, {
        from: tree.stray.name,
        to: leaf,
        where: isIn(range),
        between: async () => void (await db.query(attachLeaf(range, model))),
      })
    },
  )
  if (attempt.locked) report({ step: 'ahead', kind: 'made', count: 1, text: `${leaf} was made${moved}.` })
}

/** How many rows of the range have no leaf; MOST_STRAYS + 1 if there are more. */
async function countStrays({ db, tree }: WithTree, range: Range): Promise<number> {
  const { rows } = await db.query<{ count: number }>(
    `SELECT count(*)::int AS count FROM (SELECT FROM ${tree.stray.name} WHERE ${isIn(range)} LIMIT ${MOST_STRAYS + 1}) AS strays`,
  )
  return rows[0]?.count ?? 0
}
