import { plural } from '../platform/units.ts'
import { createIndex, type UserIndex } from '../postgres/partitions/indexes.ts'
import type { Leaf } from '../postgres/partitions/tree.ts'
import {
  type FoundUserIndex,
  lackingUserIndexes,
  readUserIndexes,
} from '../postgres/partitions/user-indexes.ts'
import { sqlstateOf } from '../sink-worker/outage/sqlstate.ts'
import { failureText } from './failure.ts'
import { type Maintenance, type Policy, problem, type WithTree } from './maintenance.ts'

/** The share of rows inserted since the last VACUUM from which it is worth another. */
const INSERTED_SHARE = 0.1

/** What PostgreSQL counts of a leaf (pg_stat_all_tables); all of it is lost when the server crashes. */
export interface LeafCounts {
  /** VACUUM by hand or by us, not by autovacuum, which freezes nothing yet. */
  vacuums: number
  insertedSince: number
  rows: number
}

/** What is to be done to a leaf. */
export interface LeafWork {
  build: readonly UserIndex[]
  vacuum: boolean
  /** Indexes that the leaf is better without, while it is empty. */
  drop: readonly FoundUserIndex[]
}

/**
 * Builds the user indexes that leaves lack, and vacuums leaves whose time is over. Then nothing has to be done to them
 * again, unless many late events come. One leaf that fails does not keep the others from it.
 *
 * @throws {OutOfTimeError}, the signal's reason, or an error of the connection
 */
export async function closeLeaves(run: WithTree): Promise<void> {
  const { db, tree, policy, nowMs, report } = run
  const found = await readUserIndexes(db, tree.leaves)
  const counts = await readCounts(run)
  for (const leaf of tree.leaves) {
    const work = workOn(leaf, { found, counts: counts.get(leaf.oid), userIndex: policy.userIndex, nowMs })
    try {
      await removeRemains(run, leaf, found)
      for (const index of work.drop) await dropIndex(run, leaf, index)
      for (const index of work.build) await buildIndex(run, leaf, index)
      if (work.vacuum) await vacuum(run, leaf)
    } catch (error) {
      if (sqlstateOf(error) === undefined) throw error
      report(problem('close', failureText(`${leaf.name} was not closed`, error)))
    }
  }
}

/** Pure. */
export function workOn(
  leaf: Pick<Leaf, 'oid' | 'fromMs' | 'toMs'>,
  {
    found,
    counts,
    userIndex,
    nowMs,
  }: {
    found: readonly FoundUserIndex[]
    counts: LeafCounts | undefined
    userIndex: Policy['userIndex']
    nowMs: number
  },
): LeafWork {
  const isOver = leaf.toMs <= nowMs
  const isDeferred = userIndex === 'deferred'
  return {
    build: isOver || !isDeferred ? lackingUserIndexes(found, leaf.oid) : [],
    vacuum: isOver && needsVacuum(counts),
    drop:
      isDeferred && leaf.fromMs > nowMs
        ? found.filter(({ table, isValid, isInherited }) => table === leaf.oid && isValid && !isInherited)
        : [],
  }
}

function needsVacuum(counts: LeafCounts | undefined): boolean {
  if (counts === undefined) return true
  return counts.vacuums === 0 || counts.insertedSince > counts.rows * INSERTED_SHARE
}

async function readCounts({ db, tree }: WithTree): Promise<Map<number, LeafCounts>> {
  const { rows } = await db.query<LeafCounts & { oid: number }>(
    `SELECT relid::int8::float8 AS oid, vacuum_count::float8 AS vacuums, n_ins_since_vacuum::float8 AS "insertedSince",
       n_live_tup::float8 AS rows
     FROM pg_stat_all_tables WHERE relid = ANY($1::int8[]::oid[])`,
    [tree.leaves.map(({ oid }) => oid)],
  )
  return new Map(rows.map(({ oid, ...counts }) => [oid, counts]))
}

/** An index that CREATE INDEX CONCURRENTLY did not finish is written to, but never read. */
async function removeRemains(run: WithTree, leaf: Leaf, found: readonly FoundUserIndex[]): Promise<void> {
  for (const { name } of found.filter(({ table, isValid }) => table === leaf.oid && !isValid))
    if (!run.dryRun) await run.long.run(`DROP INDEX CONCURRENTLY IF EXISTS ${name}`)
}

async function buildIndex(run: Maintenance, leaf: Leaf, index: UserIndex): Promise<void> {
  const { long, report, dryRun } = run
  if (!dryRun) await long.run(createIndex(index, leaf.name, 'CONCURRENTLY '))
  report({
    step: 'close',
    kind: 'indexed',
    count: 1,
    text: `The index of ${leaf.name} on ${index.column} ${dryRun ? 'would be' : 'was'} built.`,
  })
}

/** With EVENTS_USER_INDEX=deferred, a leaf gets its user indexes when its time is over. */
async function dropIndex(run: WithTree, leaf: Leaf, { name, column }: FoundUserIndex): Promise<void> {
  const { db, brief, report, dryRun } = run
  const isEmpty = async (): Promise<boolean> =>
    (await db.query(`SELECT FROM ONLY ${leaf.name} LIMIT 1`)).rowCount === 0
  if (!(await isEmpty())) return
  if (!dryRun) {
    const attempt = await brief.run(
      [{ table: leaf.name, mode: 'ACCESS EXCLUSIVE' }],
      async () => (await isEmpty()) && (await db.query(`DROP INDEX IF EXISTS ${name}`)),
      1, // the next run tries again
    )
    if (!attempt.locked || attempt.value === false) return
  }
  report({
    step: 'close',
    kind: 'unindexed',
    count: 1,
    text: `The index of ${leaf.name} on ${column} ${dryRun ? 'would be' : 'was'} dropped: it is built when the time of ${leaf.name} is over.`,
  })
}

async function vacuum(run: Maintenance, leaf: Leaf): Promise<void> {
  const { long, report, dryRun, db } = run
  if (dryRun) {
    report({ step: 'close', kind: 'closed', count: 1, text: `${leaf.name} would be closed.` })
    return
  }
  const warnings = await long.run(`VACUUM (FREEZE, ANALYZE) ${leaf.name}`)
  if (warnings.length > 0) {
    const text = `${leaf.name} was not closed: ${warnings.join('; ')}. Run "npx firehose maintain" as the owner of "events".`
    report(problem('close', text))
    return
  }
  const { rows } = await db.query<{ rows: number }>(
    'SELECT greatest(reltuples, 0)::float8 AS rows FROM pg_class WHERE oid = $1::int8::oid',
    [leaf.oid],
  )
  const text = `${leaf.name} was closed: ${plural(rows[0]?.rows ?? 0, 'row')}, vacuumed and frozen.`
  report({ step: 'close', kind: 'closed', count: 1, text })
}
