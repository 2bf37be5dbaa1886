import type pg from 'pg'
import { USER_INDEXES, type UserIndex } from './indexes.ts'
import type { TreeTable } from './tree.ts'

/** An index that does the work of one of USER_INDEXES, whoever made it. */
export interface FoundUserIndex {
  /** Of its table. */
  table: number
  column: string
  /** As SQL. */
  name: string
  /** False: the remains of a CREATE INDEX CONCURRENTLY that was interrupted. */
  isValid: boolean
  /** Part of an index of a table above, so it cannot be dropped alone. */
  isInherited: boolean
}

const READ_USER_INDEXES = `
  SELECT i.indrelid::int8::float8 AS "table", first.attname AS column, i.indexrelid::regclass::text AS name,
    i.indisvalid AND i.indisready AS "isValid", c.relispartition AS "isInherited"
  FROM pg_index AS i
  JOIN pg_class AS c ON c.oid = i.indexrelid
  JOIN pg_am AS method ON method.oid = c.relam AND method.amname = 'btree'
  JOIN pg_attribute AS first ON first.attrelid = i.indrelid AND first.attnum = i.indkey[0]
  JOIN pg_attribute AS second ON second.attrelid = i.indrelid AND second.attnum = i.indkey[1]
  WHERE i.indrelid = ANY($1::int8[]::oid[]) AND i.indnkeyatts >= 2 AND second.attname = 'timestamp' AND first.attname = ANY($2)
    AND (i.indpred IS NULL OR pg_get_expr(i.indpred, i.indrelid) = format('(%I IS NOT NULL)', first.attname))
  ORDER BY i.indexrelid`

/** The user indexes of these tables. @throws the driver's error */
export async function readUserIndexes(
  db: Pick<pg.ClientBase, 'query'>,
  tables: readonly Pick<TreeTable, 'oid'>[],
): Promise<FoundUserIndex[]> {
  const { rows } = await db.query<FoundUserIndex>(READ_USER_INDEXES, [
    tables.map(({ oid }) => oid),
    USER_INDEXES.map(({ column }) => column),
  ])
  return rows
}

/** Those that a table lacks, or has only the remains of. Pure. */
export function lackingUserIndexes(found: readonly FoundUserIndex[], table: number): UserIndex[] {
  return USER_INDEXES.filter(
    ({ column }) => !found.some((index) => index.table === table && index.column === column && index.isValid),
  )
}
