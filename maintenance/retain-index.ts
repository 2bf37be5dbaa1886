import type pg from 'pg'
import { createIndex, TIME_INDEXES } from '../postgres/partitions/indexes.ts'
import type { TreeTable } from '../postgres/partitions/tree.ts'
import { RefusedError } from './failure.ts'
import { runAtOnce } from './transaction.ts'

/** The BRIN of one table on received_at, by which its old rows, and the late ones, are found. */
export interface ReceivedIndex {
  oid: number
  pagesPerRange: number
}

const DEFAULT_PAGES_PER_RANGE = 128

const FIND_INDEX = `
  SELECT c.oid::int8::float8 AS oid, coalesce((SELECT option_value::int FROM pg_options_to_table(c.reloptions)
    WHERE option_name = 'pages_per_range'), ${DEFAULT_PAGES_PER_RANGE}) AS "pagesPerRange"
  FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid JOIN pg_am AS am ON am.oid = c.relam
  JOIN pg_attribute AS a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
  WHERE i.indrelid = $1::float8::int8::oid AND am.amname = 'brin' AND a.attname = 'received_at' AND i.indisvalid
    AND i.indpred IS NULL
  ORDER BY c.oid LIMIT 1`

/** @throws {RefusedError} if there is none: each run would read the whole table; or the driver's error */
export async function findReceivedIndex(
  db: Pick<pg.ClientBase, 'query'>,
  { oid, name }: TreeTable,
): Promise<ReceivedIndex> {
  const { rows } = await db.query<ReceivedIndex>(FIND_INDEX, [oid])
  if (rows[0] !== undefined) return rows[0]
  const kind = TIME_INDEXES.find(({ suffix }) => suffix.startsWith('received_at'))!
  const create = createIndex(kind, name, 'CONCURRENTLY ')
  throw new RefusedError(
    `it has no valid BRIN on received_at, by which old rows are found. Build it (${create};)`,
  )
}

/** Adds the pages that it does not know yet: all of them would be read. */
export async function summarize(db: Pick<pg.ClientBase, 'query'>, { oid }: ReceivedIndex): Promise<void> {
  await runAtOnce(db, `SELECT brin_summarize_new_values(${oid}::oid::regclass)`)
}

/**
 * Makes it forget what is in some pages, from which rows are deleted next; by itself it never does. Otherwise each later
 * run would read them again, and in the end, in a table without partitions, all of it. The next run, or VACUUM, adds them
 * again.
 *
 * @param pages the first one, and the one after the last
 */
export async function forget(
  db: Pick<pg.ClientBase, 'query'>,
  { oid, pagesPerRange }: ReceivedIndex,
  { from, to }: { from: number; to: number },
): Promise<void> {
  const first = from - (from % pagesPerRange)
  await runAtOnce(
    db,
    `SELECT count(brin_desummarize_range(${oid}::oid::regclass, page)) FROM generate_series(${first}::int8, ${to - 1}, ${pagesPerRange}) AS page`,
  )
}
