import type { WithTree } from './maintenance.ts'

interface Facts {
  version: number
  /** Of the whole tree, in hours; null if never, or not since the server crashed. */
  ageHours: number | null
  /** The rows that the last ANALYZE counted, and those of now. */
  counted: number
  rows: number
}

const DAY_HOURS = 24
/** A tree that has more than doubled is analyzed again after an hour: it was new. */
const NEW_HOURS = 1

const READ_FACTS = `
  SELECT current_setting('server_version_num')::int AS version,
    (extract(epoch FROM clock_timestamp() - stat.last_analyze) / 3600)::float8 AS "ageHours",
    greatest(root.reltuples, 0)::float8 AS counted,
    (SELECT coalesce(sum(n_live_tup), 0) FROM pg_stat_all_tables WHERE relid = ANY($2::int8[]::oid[]))::float8 AS rows
  FROM pg_class AS root LEFT JOIN pg_stat_all_tables AS stat ON stat.relid = root.oid WHERE root.oid = $1::int8::oid`

/**
 * Once a day: the planner's statistics of the whole tree, which neither autovacuum nor the VACUUM of a leaf makes. In
 * PostgreSQL 17, which has no ONLY for it, leaves are analyzed as well.
 *
 * @throws {OutOfTimeError}, the signal's reason, or the driver's error
 */
export async function analyzeTree(run: WithTree): Promise<void> {
  const { db, long, tree, report, dryRun } = run
  const tables = [...tree.leaves, tree.stray, tree.other]
  const { rows } = await db.query<Facts>(READ_FACTS, [tree.root.oid, tables.map(({ oid }) => oid)])
  const facts = rows[0]
  if (facts === undefined || !isDue(facts)) return
  if (!dryRun) {
    const warnings = await long.run(`ANALYZE ${facts.version >= 180_000 ? 'ONLY ' : ''}${tree.root.name}`)
    if (warnings.length > 0) throw new Error(warnings.join('; '))
  }
  const text = `The statistics of "events" ${dryRun ? 'would be' : 'were'} renewed.`
  report({ step: 'close', kind: 'analyzed', count: 1, text })
}

/** Pure. */
export function isDue({ ageHours, counted, rows }: Omit<Facts, 'version'>): boolean {
  if (rows === 0) return false
  return ageHours === null || ageHours >= DAY_HOURS || (ageHours >= NEW_HOURS && rows > 2 * counted)
}
