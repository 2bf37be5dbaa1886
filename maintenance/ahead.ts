import { plural, size } from '../platform/units.ts'
import {
  attachLeaf,
  createLeaf,
  isIn,
  leafTable,
  type LeafModel,
  readLeafModel,
} from '../postgres/partitions/leaf.ts'
import {
  partitionName,
  type Range,
  RANGES_AHEAD,
  rangesAhead,
  UNIT_MS,
} from '../postgres/partitions/ranges.ts'
import { STRAY } from '../postgres/partitions/tree.ts'
import { sqlstateOf } from '../sink-worker/outage/sqlstate.ts'
import { attachBesideLarge, NO_STRAYS } from './beside-large.ts'
import { failureText, isRefusal } from './failure.ts'
import { dropCheck } from './left-checks.ts'
import { type Action, type Maintenance, problem, type WithTree } from './maintenance.ts'
import { attachLocks, madeLeaf, type MissingLeaf, notLocked, notMade } from './missing-leaf.ts'
import { countAhead, missingRanges } from './missing-ranges.ts'
import { moveRows } from './move-rows.ts'

/** A range with more strays than this gets no leaf: moving them would hold up the sinks. */
const MOST_STRAYS = 10_000
/** An ATTACH reads all of `events_stray`, which nobody can use meanwhile: so much takes about 70 ms. */
export const MOST_READ_BYTES = 128 * 2 ** 20
/**
 * A leaf beside a large `events_stray` needs a CHECK that refuses its events for a while, and for longer if this process is
 * killed. So none is made whose time comes soon.
 */
const SOON_MS = 12 * UNIT_MS.hour

/**
 * Makes the leaves that are missing, from the oldest that exists to those ahead. Beside a large `events_stray` it makes
 * only those whose time does not come soon, when half of those ahead are left: those without strays all together, since
 * each time that table is read.
 */
export async function makeAhead(run: WithTree): Promise<void> {
  const { db, tree, policy, nowMs } = run
  const times = { ...tree, nowMs, keptFromMs: keptFromMs(run) }
  warnOfEnd(run)
  if (!(await dropCheck(run, tree.stray, NO_STRAYS))) return // the run tries again at its end, and says so
  const missing = missingRanges(policy.unit, times)
  if (missing.length === 0) return
  const model = await readLeafModel(db, tree.stray.name)
  const bytes = await strayBytes(run)
  if (bytes <= MOST_READ_BYTES) {
    await makeEach(run, model, await lookAtAll(run, model, missing))
    return
  }
  await makeBesideLarge(run, model, missing, bytes)
}

async function makeBesideLarge(
  run: WithTree,
  model: LeafModel,
  missing: readonly Range[],
  bytes: number,
): Promise<void> {
  const { tree, policy, nowMs, report } = run
  const soon = missing.filter(({ fromMs, toMs }) => toMs > nowMs && fromMs < nowMs + SOON_MS)
  if (soon.length > 0) {
    const names = [soon[0]!, ...soon.slice(1).slice(-1)].map((range) => leafName(run, model, range))
    const reason = `${tree.stray.name} is large (${size(bytes)}), and events of that time go there, where they stay.`
    report(notMade(names, reason))
  }
  if (countAhead(policy.unit, { ...tree, nowMs }) >= RANGES_AHEAD[policy.unit] / 2) return
  const late = missing.filter(({ fromMs }) => fromMs >= nowMs + SOON_MS)
  const leaves = await lookAtAll(run, model, late)
  // First those without strays: rows that cannot be moved in time keep no other range from its leaf.
  if (
    !(await attachBesideLarge(
      run,
      model,
      leaves.filter(({ strays }) => strays === 0),
    ))
  )
    return
  for (const leaf of leaves.filter(({ strays }) => strays > 0)) {
    try {
      if (!(await attachBesideLarge(run, model, [leaf]))) return
    } catch (error) {
      if (!isRefusal(error)) throw error
      report(refused(run, leaf, error))
    }
  }
}

/**
 * First where events go now, so that few of them become strays; then those without strays: a range whose rows cannot be
 * moved in time keeps no other from its leaf.
 */
async function makeEach(run: WithTree, model: LeafModel, leaves: readonly MissingLeaf[]): Promise<void> {
  const isNow = ({ range }: MissingLeaf): number =>
    Number(range.fromMs <= run.nowMs && range.toMs > run.nowMs)
  for (const leaf of leaves.toSorted((a, b) => isNow(b) - isNow(a) || a.strays - b.strays)) {
    run.signal.throwIfAborted()
    try {
      if (!(await makeLeaf(run, model, leaf))) return
    } catch (error) {
      if (!isRefusal(error)) throw error
      run.report(refused(run, leaf, error))
    }
  }
}

/** Why a leaf was not made: PostgreSQL, or we, refused it. */
function refused({ tree }: WithTree, { name }: MissingLeaf, error: unknown): Action {
  return sqlstateOf(error) === '57014'
    ? notMade([name], `moving its rows from ${tree.stray.name} takes too long, so they stay there.`)
    : problem('ahead', failureText(`${name} was not made`, error))
}

/** The moment before which retention drops leaves, so that none is made there; undefined without retention. Pure. */
function keptFromMs({ policy, nowMs }: Maintenance): number | undefined {
  return policy.retentionDays === undefined ? undefined : nowMs - policy.retentionDays * UNIT_MS.day
}

function warnOfEnd({ tree, policy, nowMs, report }: WithTree): void {
  if (rangesAhead(policy.unit, nowMs).at(-1)!.toMs <= tree.era.toMs) return
  const end = new Date(tree.era.toMs).toISOString()
  const text = `The partitions of "events" end at ${end}: later events go to ${tree.other.name}, where they stay.`
  report(problem('ahead', text))
}

async function strayBytes({ db, tree }: WithTree): Promise<number> {
  const { rows } = await db.query<{ bytes: number }>(
    `SELECT pg_relation_size($1::int8::oid)::float8 AS bytes`,
    [tree.stray.oid],
  )
  return rows[0]?.bytes ?? 0
}

/** For people. */
function leafName({ tree }: WithTree, model: LeafModel, range: Range): string {
  return tree.stray.name === STRAY ? partitionName(range) : leafTable(range, model)
}

async function lookAtAll(run: WithTree, model: LeafModel, ranges: readonly Range[]): Promise<MissingLeaf[]> {
  const leaves: MissingLeaf[] = []
  for (const range of ranges) {
    const leaf = await lookAt(run, model, range)
    if (leaf !== undefined) leaves.push(leaf)
  }
  return leaves
}

/**
 * @returns undefined if it needs no leaf: it is over, and nothing is there (a clock that was wrong for a moment would leave
 *   thousands of leaves behind); or if it can have none, which is reported, unless it stays so: many strays of the past
 */
async function lookAt(run: WithTree, model: LeafModel, range: Range): Promise<MissingLeaf | undefined> {
  const { tree, report, db } = run
  const leaf = leafTable(range, model)
  const name = leafName(run, model, range)
  const { rows } = await db.query<{ strays: number; taken: boolean }>(
    `SELECT to_regclass($1) IS NOT NULL AS taken, (SELECT count(*)::int
      FROM (SELECT FROM ${tree.stray.name} WHERE ${isIn(range)} LIMIT ${MOST_STRAYS + 1}) AS some_strays) AS strays`,
    [leaf],
  )
  const { strays, taken } = rows[0] ?? { strays: 0, taken: false }
  const most = strays > MOST_STRAYS
  if (strays === 0 && range.toMs <= run.nowMs) return undefined
  if (taken) {
    const rename = `ALTER TABLE ${name} RENAME TO ${partitionName(range)}_other;`
    report(notMade([name], `another table has this name. Rename it: ${rename}`))
  } else if (most && range.toMs > run.nowMs)
    report(
      notMade(
        [name],
        `more than ${plural(MOST_STRAYS, 'row')} of it are in ${tree.stray.name}, where its events stay.`,
      ),
    )
  return taken || most ? undefined : { range, leaf, name, strays }
}

/** @returns false if the locks were not got */
async function makeLeaf(run: WithTree, model: LeafModel, missing: MissingLeaf): Promise<boolean> {
  const { db, brief, tree, policy, report, dryRun } = run
  const { range, leaf, strays } = missing
  if (dryRun) {
    report(madeLeaf('would be made', missing, strays, tree))
    return true
  }
  const attempt = await brief.run(attachLocks(tree), async () => {
    for (const statement of createLeaf(range, model, policy.userIndex)) await db.query(statement)
    return await moveRows(db, {
      from: tree.stray.name,
      to: leaf,
      where: isIn(range),
      between: async () => void (await db.query(attachLeaf(range, model))),
    })
  })
  report(attempt.locked ? madeLeaf('was made', missing, attempt.value, tree) : notLocked(missing, tree))
  return attempt.locked
}
