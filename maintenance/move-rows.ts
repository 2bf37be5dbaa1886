import pg from 'pg'
import { RefusedError } from './failure.ts'

export interface Move {
  /** Both as SQL; the transaction has them locked in ACCESS EXCLUSIVE MODE, or has just created them. */
  from: string
  to: string
  /** A condition, as SQL. */
  where: string
  /** Between the two: attaches `to`, or detaches `from`. */
  between: () => Promise<void>
}

/**
 * Moves rows from one leaf to another, in the transaction of the caller, as a DELETE and an INSERT: a logical subscriber
 * sees both, because both tables are in the tree when that happens. Triggers do not fire, because no event comes or goes.
 *
 * @returns the number of rows
 */
export async function moveRows(
  db: Pick<pg.ClientBase, 'query'>,
  { from, to, where, between }: Move,
): Promise<number> {
  const { rowCount } = await db.query(`SELECT FROM ONLY ${from} WHERE ${where} LIMIT 1`)
  if (rowCount === 0) {
    await between()
    return 0
  }
  const columns = await movedColumns(db)
  // A constraint that is checked at COMMIT would forbid to enable the triggers of a table that it has rows of.
  await db.query('SET CONSTRAINTS ALL IMMEDIATE')
  const moved = await withoutTriggers(db, from, async () => await takeOut(db, { from, where, columns }))
  await between()
  return moved === 0 ? 0 : await putIn(db, { to, columns })
}

/**
 * Deletes rows, which are then in a temporary table until the transaction ends.
 *
 * @returns their number
 * @throws {RefusedError} if a foreign key would act on that: it would delete rows of the user's, or empty them
 */
export async function takeOut(
  db: Pick<pg.ClientBase, 'query'>,
  { from, where, columns }: { from: string; where: string; columns: string },
): Promise<number> {
  const [acting] = (await db.query<{ name: string; table: string }>(ACTING_KEYS, [from])).rows
  if (acting !== undefined) {
    const remedy = `ALTER TABLE ${acting.table} DROP CONSTRAINT ${acting.name};`
    throw new RefusedError(
      `no row can be moved out of ${from}, because a foreign key of ${acting.table} acts when one is deleted. Drop it (${remedy})`,
    )
  }
  await db.query(
    `CREATE TEMPORARY TABLE firehose_moved ON COMMIT DROP AS SELECT ${columns} FROM ONLY ${from} WITH NO DATA`,
  )
  const { rowCount } = await db.query(
    `WITH gone AS (DELETE FROM ONLY ${from} WHERE ${where} RETURNING ${columns})
     INSERT INTO pg_temp.firehose_moved (${columns}) SELECT ${columns} FROM gone`,
  )
  return rowCount ?? 0
}

/** Inserts the rows that were taken out. @param where which of them; all by default. @returns their number */
export async function putIn(
  db: Pick<pg.ClientBase, 'query'>,
  { to, columns, where = 'true' }: { to: string; columns: string; where?: string },
): Promise<number> {
  const insert = `INSERT INTO ${to} (${columns}) OVERRIDING SYSTEM VALUE
    SELECT ${columns} FROM pg_temp.firehose_moved WHERE ${where}`
  const { rowCount } = await withoutTriggers(db, to, async () => await db.query(insert))
  return rowCount ?? 0
}

/** Foreign keys to a table, or to one that it is a partition of, with ON DELETE CASCADE, SET NULL or SET DEFAULT. */
const ACTING_KEYS = `
  SELECT quote_ident(conname) AS name, conrelid::regclass::text AS "table" FROM pg_constraint
  WHERE contype = 'f' AND confdeltype IN ('c', 'n', 'd') AND conparentid = 0
    AND confrelid IN (SELECT relid FROM pg_partition_ancestors($1::regclass)) LIMIT 1`

/** The columns that are not generated, as SQL. */
export async function movedColumns(db: Pick<pg.ClientBase, 'query'>): Promise<string> {
  const { rows } = await db.query<{ columns: string }>(
    `SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) AS columns FROM pg_attribute
     WHERE attrelid = to_regclass('events') AND attnum > 0 AND NOT attisdropped AND attgenerated = ''`,
  )
  return rows[0]?.columns ?? ''
}

/** pg_trigger.tgenabled */
export type TriggerState = 'O' | 'D' | 'A' | 'R'

/** How ALTER TABLE gives a trigger its state. */
export const SET_TRIGGER: Readonly<Record<TriggerState, string>> = {
  O: 'ENABLE',
  D: 'DISABLE',
  A: 'ENABLE ALWAYS',
  R: 'ENABLE REPLICA',
}

async function withoutTriggers<T>(
  db: Pick<pg.ClientBase, 'query'>,
  table: string,
  work: () => Promise<T>,
): Promise<T> {
  const { rows } = await db.query<{ name: string; enabled: TriggerState }>(
    `SELECT quote_ident(tgname) AS name, tgenabled AS enabled FROM pg_trigger
     WHERE tgrelid = $1::regclass AND NOT tgisinternal AND tgenabled <> 'D'`,
    [table],
  )
  const alter = async (how: (enabled: TriggerState) => string): Promise<void> => {
    for (const { name, enabled } of rows)
      await db.query(`ALTER TABLE ONLY ${table} ${how(enabled)} TRIGGER ${name}`)
  }
  await alter(() => SET_TRIGGER.D)
  const result = await work()
  await alter((enabled) => SET_TRIGGER[enabled])
  return result
}
