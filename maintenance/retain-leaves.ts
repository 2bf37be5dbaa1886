import { count, plural, size } from '../platform/units.ts'
import type { Leaf } from '../postgres/partitions/tree.ts'
import type { WithTree } from './maintenance.ts'
import { moveRows } from './move-rows.ts'
import { RefusedError } from './failure.ts'
import { findReceivedIndex, summarize } from './retain-index.ts'
import { BY_INDEX, runAtOnce } from './transaction.ts'

/** A leaf with more rows that are to be kept stays: moving them would hold up the sinks. */
const MOST_LATE = 10_000

/** What became of a leaf; undefined if its locks were held by others all the time. */
export interface DroppedLeaf {
  /** For people. */
  contents: string
  /** Rows that were moved to `events_stray`. */
  moved: number
}

/** The leaves that are over, so that only late rows in them are to be kept. In order of time. Pure. */
export function oldLeaves(leaves: readonly Leaf[], before: Date): Leaf[] {
  return leaves.filter(({ toMs }) => toMs <= before.getTime())
}

/**
 * Drops a leaf. Its late rows, received at this moment or later although their ids are older, are moved to `events_stray`
 * in the same transaction. No row can come in between, because the leaf is locked.
 *
 * With dryRun, says what would be done.
 *
 * @param attempts to get the locks; as many as usual by default
 * @throws {RefusedError} if it has too many late rows, or no BRIN; the driver's error, also if something depends on it
 */
export async function dropLeaf(
  run: WithTree,
  leaf: Leaf,
  before: Date,
  attempts?: number,
): Promise<DroppedLeaf | undefined> {
  const { db, brief, tree, dryRun } = run
  const index = await findReceivedIndex(db, leaf)
  if (!dryRun) await summarize(db, index)
  const isLate = `received_at >= '${before.toISOString()}'`
  const contents = await describeContents(run, leaf)
  const { rows } = await runAtOnce<{ late: number }>(db, BY_INDEX, countLate(leaf, isLate))
  const late = fewEnough(rows[0]?.late)
  if (dryRun) return { contents, moved: late }
  const attempt = await brief.run(
    [
      { table: tree.root.name, mode: 'ACCESS SHARE' },
      { table: tree.era.name, mode: 'ACCESS EXCLUSIVE' },
      { table: tree.stray.name, mode: 'ACCESS EXCLUSIVE' },
      { table: leaf.name, mode: 'ACCESS EXCLUSIVE' },
    ],
    async () => {
      await db.query(`SET LOCAL row_security = off; ${BY_INDEX}`)
      const drop = async (): Promise<void> => void (await db.query(`DROP TABLE ${leaf.name}`))
      const to = tree.stray.name
      return fewEnough(await moveRows(db, { from: leaf.name, to, where: isLate, between: drop }))
    },
    attempts,
  )
  return attempt.locked ? { contents, moved: attempt.value } : undefined
}

/** The statement that counts the rows to keep; MOST_LATE + 1 if there are more. */
function countLate({ name }: Leaf, isLate: string): string {
  return `SELECT count(*)::int AS late FROM (SELECT FROM ONLY ${name} WHERE ${isLate} LIMIT ${MOST_LATE + 1}) AS late`
}

function fewEnough(late = 0): number {
  if (late <= MOST_LATE) return late
  throw new RefusedError(
    `more than ${count(MOST_LATE)} of its rows arrived late and are to be kept. It is dropped once they are old enough`,
  )
}

/** `2.4 GB, about 10,000,000 rows` */
async function describeContents({ db }: WithTree, { oid }: Leaf): Promise<string> {
  const { rows } = await db.query<{ bytes: number; rows: number }>(
    'SELECT pg_total_relation_size(oid)::float8 AS bytes, reltuples::float8 AS rows FROM pg_class WHERE oid = $1::float8::int8::oid',
    [oid],
  )
  const [{ bytes, rows: tuples } = { bytes: 0, rows: -1 }] = rows
  return tuples < 0 ? size(bytes) : `${size(bytes)}, about ${plural(tuples, 'row')}`
}
