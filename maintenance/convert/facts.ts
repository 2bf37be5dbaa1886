import type pg from 'pg'
import type { TriggerState } from '../move-rows.ts'
import { READ_FACTS } from './facts-sql.ts'
import { TREE_NAMES } from './names.ts'

/* What there is to the table `events`. A name is as the catalog has it; `sql` is the same, quoted if needed. */

interface Named {
  name: string
  sql: string
  comment: string | null
}

export interface ColumnFacts {
  sql: string
  /** '', or that of an identity column: 'a' ALWAYS, 'd' BY DEFAULT. */
  identity: '' | 'a' | 'd'
  isGenerated: boolean
  /** The target of ANALYZE, if it was set. */
  statistics: number | null
  /** As in SET (...). */
  options: string | null
  /** Of an identity column. */
  sequence: string | null
}

/** A CHECK (c), a foreign key (f) or NOT NULL (n; PostgreSQL 18). */
export interface ConstraintFacts extends Named {
  type: 'c' | 'f' | 'n'
  definition: string
  isValid: boolean
  noInherit: boolean
}

export interface IndexFacts extends Named {
  method: string
  isUnique: boolean
  isValid: boolean
  isPartial: boolean
  hasExpressions: boolean
  /** The statement that creates it. */
  definition: string
  tablespace: string | null
  /** Its key columns that are no expressions. */
  keys: string[]
  opclasses: string[]
  options: string | null
  /** Of a primary key (p), a unique (u) or an exclusion constraint (x); null for an index alone. */
  constraintType: 'p' | 'u' | 'x' | null
  /** Its definition, as in ADD CONSTRAINT. */
  constraint: string | null
  constraintComment: string | null
}

interface TriggerFacts extends Named {
  definition: string
  enabled: TriggerState
  isRow: boolean
  hasTransitionTable: boolean
  /** Its function uses TG_TABLE_NAME or the like. */
  readsTableName: boolean
}

interface PolicyFacts extends Named {
  /** What follows the name of the table. */
  definition: string
}

interface GrantFacts {
  /** Null for the whole table. */
  column: string | null
  grantee: string
  isGrantable: boolean
  privileges: string
  /** Granted by another role than the owner. */
  isOfOther: boolean
}

interface StatisticsFacts extends Named {
  schema: string
  definition: string
  target: number | null
  owner: string
}

/** Something that depends on the table without being a part of it. */
export interface DependentFacts {
  kind: 'rule' | 'view' | 'materialized view' | 'foreign key' | 'child' | 'other'
  sql: string | null
  /** The table that it belongs to, or that it is. */
  table: string | null
  description: string
}

/** Something else that ties the table. */
export interface TieFacts {
  kind:
    | 'publication'
    | 'wide publication'
    | 'subscription'
    | 'parent'
    | 'extension'
    | 'type'
    | 'unlogged'
    | 'access method'
    | 'forced row-level security'
  sql: string
}

export interface Facts {
  schema: string
  owner: string
  /** Of the rows, without indexes and TOAST. */
  bytes: number
  /** Storage parameters, as in WITH (...). */
  options: string | null
  tablespace: string | null
  /** DEFAULT, NOTHING, FULL, INDEX. */
  replicaIdentity: 'd' | 'n' | 'f' | 'i'
  rowSecurity: boolean
  forceRowSecurity: boolean
  /** False if only the owner has rights. */
  hasAcl: boolean
  comment: string | null
  taken: readonly { name: string; sql: string; kind: string }[]
  columns: readonly ColumnFacts[]
  constraints: readonly ConstraintFacts[]
  indexes: readonly IndexFacts[]
  triggers: readonly TriggerFacts[]
  policies: readonly PolicyFacts[]
  grants: readonly GrantFacts[]
  defaultGrantees: readonly { grantee: string }[]
  statistics: readonly StatisticsFacts[]
  /** Of serial columns. */
  sequences: readonly { sequence: string; column: string }[]
  dependents: readonly DependentFacts[]
  ties: readonly TieFacts[]
}

/** @throws the driver's error */
export async function readFacts(db: Pick<pg.ClientBase, 'query'>): Promise<Facts> {
  const { rows } = await db.query<{ facts: Facts }>(READ_FACTS, [TREE_NAMES])
  if (rows[0] === undefined) throw new Error('the table "events" does not exist')
  return rows[0].facts
}
