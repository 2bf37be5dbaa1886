import pg from 'pg'
import { createIndex, type UserIndex } from './indexes.ts'
import { firstIdAt, partitionName, type Range } from './ranges.ts'
import type { UserIndexTime } from './settings.ts'
import { ERA } from './tree.ts'
import { lackingUserIndexes, readUserIndexes } from './user-indexes.ts'

/** What a new leaf has in common with the tables that exist; all as SQL. */
export interface LeafModel {
  /** The schema of `events`. */
  schema: string
  owner: string
  /** Storage parameters of `events_stray`, as in WITH (...); '' if there are none. */
  options: string
  /** The tablespace of `events_stray`; null for the default. */
  tablespace: string | null
  /** The replica identity of `events_stray`: DEFAULT, FULL or NOTHING. */
  replicaIdentity: string
  /** Those of USER_INDEXES that `events` itself does not have (a user may have made one there): each leaf gets its own. */
  userIndexes: readonly UserIndex[]
  /** What ALTER TABLE is to say of the columns of `events_stray`: the statistics that ANALYZE is to keep. */
  columns: string[]
}

/**
 * The model of new leaves. A partitioned table can have no storage parameters, and LIKE copies no statistics targets, so
 * `events_stray` stands for them: change those of future leaves there.
 */
const READ_LEAF_MODEL = `
  SELECT root.oid::int8::float8 AS root, quote_ident(nspname) AS schema, quote_ident(pg_get_userbyid(root.relowner)) AS owner,
    coalesce((SELECT string_agg(prefix || quote_ident(option_name) || ' = ' || quote_literal(option_value), ', ')
      FROM (SELECT '' AS prefix, stray.reloptions AS options UNION ALL SELECT 'toast.', toast.reloptions) AS sets
      CROSS JOIN LATERAL pg_options_to_table(options)), '') AS options,
    quote_ident(spcname) AS tablespace,
    CASE stray.relreplident WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING' ELSE 'DEFAULT' END AS "replicaIdentity",
    ARRAY(SELECT concat('ALTER COLUMN ', quote_ident(attname), ' SET ', set) FROM pg_attribute
      CROSS JOIN LATERAL (SELECT 'STATISTICS ' || attstattarget AS set UNION ALL
        SELECT '(' || string_agg(quote_ident(option_name) || ' = ' || quote_literal(option_value), ', ') || ')'
        FROM pg_options_to_table(attoptions)) AS sets
      WHERE attrelid = stray.oid AND attnum > 0 AND set IS NOT NULL ORDER BY attnum, set) AS columns
  FROM pg_class AS root JOIN pg_namespace AS n ON n.oid = root.relnamespace
  JOIN pg_class AS stray ON stray.oid = to_regclass($1)
  LEFT JOIN pg_class AS toast ON toast.oid = stray.reltoastrelid
  LEFT JOIN pg_tablespace AS t ON t.oid = stray.reltablespace
  WHERE root.oid = to_regclass('events')`

/** @param stray `events_stray` as SQL */
export async function readLeafModel(db: Pick<pg.ClientBase, 'query'>, stray: string): Promise<LeafModel> {
  const { rows } = await db.query<Omit<LeafModel, 'userIndexes'> & { root: number }>(READ_LEAF_MODEL, [stray])
  if (rows[0] === undefined) throw new Error('PostgreSQL returned no row')
  const { root, ...model } = rows[0]
  const found = await readUserIndexes(db, [{ oid: root }])
  return { ...model, userIndexes: lackingUserIndexes(found, root) }
}

/** A leaf that does not exist yet, as SQL. */
export function leafTable(range: Range, { schema }: Pick<LeafModel, 'schema'>): string {
  return `${schema}.${partitionName(range)}`
}

/**
 * The statements that create a leaf, not attached yet: nobody waits for them. It is `LIKE events`, and not PARTITION OF,
 * which would lock the whole tree.
 */
export function createLeaf(range: Range, model: LeafModel, userIndex: UserIndexTime): string[] {
  const leaf = leafTable(range, model)
  const { options, tablespace, columns } = model
  return [
    `CREATE TABLE ${leaf} (LIKE ${model.schema}.events INCLUDING ALL EXCLUDING IDENTITY)` +
      (options === '' ? '' : ` WITH (${options})`) +
      (tablespace === null ? '' : ` TABLESPACE ${tablespace}`),
    `ALTER TABLE ${leaf} OWNER TO ${model.owner}`,
    ...(model.replicaIdentity === 'DEFAULT'
      ? []
      : [`ALTER TABLE ${leaf} REPLICA IDENTITY ${model.replicaIdentity}`]),
    ...(columns.length === 0 ? [] : [`ALTER TABLE ${leaf} ${columns.join(', ')}`]),
    ...(userIndex === 'immediate' ? model.userIndexes.map((index) => createIndex(index, leaf)) : []),
  ]
}

/** The statement that attaches it. It locks `events_stray`, and reads it: no row of the range may be left there. */
export function attachLeaf(range: Range, model: LeafModel): string {
  return `ALTER TABLE ${model.schema}.${ERA} ATTACH PARTITION ${leafTable(range, model)} FOR VALUES ${bounds(range)}`
}

/** `FROM ('<id>') TO ('<id>')` */
export function bounds({ fromMs, toMs }: Range): string {
  return `FROM ('${firstIdAt(fromMs)}') TO ('${firstIdAt(toMs)}')`
}

/** A condition on event_id. */
export function isIn({ fromMs, toMs }: Range): string {
  return `event_id >= '${firstIdAt(fromMs)}' AND event_id < '${firstIdAt(toMs)}'`
}
