import { InvariantError } from '../platform/errors.ts'
import { attachLeaf, createLeaf, isIn, type LeafModel } from '../postgres/partitions/leaf.ts'
import type { Range } from '../postgres/partitions/ranges.ts'
import type { Tree } from '../postgres/partitions/tree.ts'
import type { TableLock } from './brief-transactions.ts'
import { dropCheck } from './left-checks.ts'
import type { WithTree } from './maintenance.ts'
import { attachLocks, madeLeaf, type MissingLeaf, notLocked, notMade } from './missing-leaf.ts'
import { joined } from './missing-ranges.ts'
import { movedColumns, putIn, takeOut } from './move-rows.ts'
import { BY_INDEX } from './transaction.ts'

/*
 * Leaves beside an `events_stray` that is too large to be read while all wait. A CHECK that excludes their ranges spares
 * PostgreSQL the reading. It is validated while others read and write. Until the leaves are attached, a sink that has
 * events of these ranges is refused (23514 with this name is contention); after a kill, until the next run. So only ranges
 * of the future are made this way.
 */

export const NO_STRAYS = 'firehose_no_strays'
/** The bit of pg_trigger.tgtype for DELETE, in PostgreSQL's catalog/pg_trigger.h. */
const TRIGGER_TYPE_DELETE = 8
/** How long the server waits for a process that is frozen between two statements, in a transaction that holds up nobody. */
const IDLE_LIMIT_MS = 60_000

/**
 * Makes leaves: first the CHECK; then, in one transaction, takes out the strays (others see them where they were),
 * validates, attaches, puts the strays in, drops the CHECK.
 *
 * @param missing in order, all of the future
 * @returns false if they were not made, which was reported
 */
export async function attachBesideLarge(
  run: WithTree,
  model: LeafModel,
  missing: readonly MissingLeaf[],
): Promise<boolean> {
  const { db, brief, tree, report, dryRun } = run
  const [first] = missing
  if (first === undefined) return true
  if (dryRun) {
    for (const leaf of missing) report(madeLeaf('would be made', leaf, leaf.strays, tree))
    return true
  }
  if (missing.some(({ strays }) => strays > 0) && (await hasDeleteTrigger(run))) {
    report(notMade([first.name], triggerText(tree)))
    return false
  }
  const check = noneOf(missing.map(({ range }) => range))
  const added = await brief.run(
    strayLock(tree),
    async () =>
      await db.query(`ALTER TABLE ${tree.stray.name} ADD CONSTRAINT ${NO_STRAYS} CHECK (${check}) NOT VALID`),
  )
  if (!added.locked) {
    report(notLocked(first, tree))
    return false
  }
  try {
    return await attachAll(run, model, missing)
  } finally {
    await db.query('ROLLBACK') // of what was not committed
    await dropCheck(run, tree.stray, NO_STRAYS)
  }
}

/** The second transaction, left open if the locks are not got. */
async function attachAll(run: WithTree, model: LeafModel, missing: readonly MissingLeaf[]): Promise<boolean> {
  const { db, brief, long, tree, policy, report } = run
  const stray = tree.stray.name
  await db.query(
    `BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL transaction_timeout = 0; SET LOCAL statement_timeout = 0;
     SET LOCAL lock_timeout = 1000; SET LOCAL idle_in_transaction_session_timeout = ${IDLE_LIMIT_MS};
     SET CONSTRAINTS ALL IMMEDIATE; ${BY_INDEX}`,
  )
  const columns = await movedColumns(db)
  const where = joined(missing.map(({ range }) => range))
    .map((span) => `(${isIn(span)})`)
    .join(' OR ')
  // Also those that came after they were counted, before the CHECK.
  const { rowCount } = await db.query(`SELECT FROM ONLY ${stray} WHERE ${where} LIMIT 1`)
  const taken = rowCount === 0 ? 0 : await takeOut(db, { from: stray, where, columns })
  await long.run(`ALTER TABLE ${stray} VALIDATE CONSTRAINT ${NO_STRAYS}`)
  for (const { range } of missing)
    for (const statement of createLeaf(range, model, policy.userIndex)) await db.query(statement)
  const attached = await brief.finish(attachLocks(tree), async () => {
    const moved: number[] = []
    for (const { range } of missing) await db.query(attachLeaf(range, model))
    for (const { range, leaf } of missing)
      moved.push(taken === 0 ? 0 : await putIn(db, { to: leaf, columns, where: isIn(range) }))
    const put = moved.reduce((sum, rows) => sum + rows, 0)
    if (put !== taken) throw new InvariantError(`${taken} rows were taken out of ${stray}, but ${put} put in`)
    await db.query(`ALTER TABLE ${stray} DROP CONSTRAINT ${NO_STRAYS}`)
    return moved
  })
  if (!attached.locked) {
    report(notLocked(missing[0]!, tree))
    return false
  }
  for (const [index, leaf] of missing.entries())
    report(madeLeaf('was made', leaf, attached.value[index] ?? 0, tree))
  return true
}

/** A condition: in none of these ranges. Pure. */
function noneOf(ranges: readonly Range[]): string {
  return joined(ranges)
    .map((span) => `NOT (${isIn(span)})`)
    .join(' AND ')
}

function strayLock({ stray }: Tree): TableLock[] {
  return [{ table: stray.name, mode: 'ACCESS EXCLUSIVE' }]
}

/** A trigger that the DELETE of the strays would fire: it can only be disabled in a transaction that holds up sinks. */
async function hasDeleteTrigger({ db, tree }: WithTree): Promise<boolean> {
  const { rowCount } = await db.query(
    `SELECT FROM pg_trigger WHERE tgrelid = $1::int8::oid AND NOT tgisinternal AND tgenabled <> 'D'
       AND tgtype & ${TRIGGER_TYPE_DELETE} <> 0`,
    [tree.stray.oid],
  )
  return rowCount !== 0
}

function triggerText({ stray }: Tree): string {
  return `rows of it are in ${stray.name}, which is large and has a trigger on DELETE. Disable it while "npx firehose maintain" runs (ALTER TABLE ${stray.name} DISABLE TRIGGER USER), and enable it after that.`
}
