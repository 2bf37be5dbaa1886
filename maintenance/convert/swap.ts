import { escapeIdentifier } from 'pg'
import { NOT_ERA } from '../../postgres/partitions/create-tree.ts'
import { createIndex, TIME_INDEXES, USER_INDEXES } from '../../postgres/partitions/indexes.ts'
import { bounds, isIn } from '../../postgres/partitions/leaf.ts'
import type { Range } from '../../postgres/partitions/ranges.ts'
import { ERA, OTHER, ROOT, STRAY } from '../../postgres/partitions/tree.ts'
import { SET_TRIGGER } from '../move-rows.ts'
import { accessOf, closeOther, commentsOf } from './carry.ts'
import type { Facts, IndexFacts } from './facts.ts'
import { ourOtherName, roleOf } from './index-roles.ts'
import { otherName, uniqueName } from './names.ts'

/**
 * The statements that make the table a tree, in one transaction that has it locked. The definitions in `facts` were read in
 * this transaction, before the old table is renamed, so that "events" in them means the new root afterwards.
 *
 * @param hasRowsOfEra whether rows of the era must be moved first; if not, a validated CHECK keeps them out
 */
export function swapStatements(facts: Facts, era: Range, hasRowsOfEra: boolean): string[] {
  const { schema, owner } = facts
  const [root, other] = [`${schema}.${ROOT}`, `${schema}.${OTHER}`]
  return [
    ...facts.triggers.map(({ sql }) => `DROP TRIGGER ${sql} ON ${root}`),
    ...renames(facts),
    `ALTER TABLE ${root} RENAME TO ${OTHER}`,
    `CREATE TABLE ${root} (LIKE ${other} INCLUDING ALL EXCLUDING INDEXES EXCLUDING CONSTRAINTS EXCLUDING STATISTICS)
     PARTITION BY RANGE (event_id)`,
    `ALTER TABLE ${root} OWNER TO ${owner}`,
    ...constraintsAndIndexes(facts),
    ...partitions(facts, era),
    ...(hasRowsOfEra ? moveRowsOfEra(facts, era) : []),
    `ALTER TABLE ${root} ATTACH PARTITION ${other} DEFAULT`,
    // After the rows were moved: no event comes or goes.
    ...facts.triggers.flatMap(({ sql, definition, enabled }) => [
      definition,
      ...(enabled === 'O' ? [] : [`ALTER TABLE ${root} ${SET_TRIGGER[enabled]} TRIGGER ${sql}`]),
    ]),
    ...facts.columns
      .filter(({ statistics }) => statistics !== null)
      .map(({ sql, statistics }) => `ALTER TABLE ${root} ALTER COLUMN ${sql} SET STATISTICS ${statistics}`),
    ...facts.columns
      .filter(({ options }) => options !== null)
      .flatMap(({ sql, options }) =>
        [root, `${schema}.${STRAY}`].map(
          (table) => `ALTER TABLE ONLY ${table} ALTER COLUMN ${sql} SET (${options})`,
        ),
      ),
    ...facts.statistics.flatMap(({ schema: of, sql, definition, target, owner: whose }) => [
      definition,
      `ALTER STATISTICS ${of}.${sql} OWNER TO ${whose}`,
      ...(target === null ? [] : [`ALTER STATISTICS ${of}.${sql} SET STATISTICS ${target}`]),
    ]),
    ...facts.sequences.map(({ sequence, column }) => `ALTER SEQUENCE ${sequence} OWNED BY ${root}.${column}`),
    ...accessOf(facts),
    ...commentsOf(facts),
    ...closeOther(facts),
  ]
}

/** Gets the names of indexes and statistics out of the way. (Those of constraints go with their index.) */
function renames({ schema, indexes, statistics }: Facts): string[] {
  const taken = new Set(indexes.map(({ name }) => name))
  const names = indexes
    .filter((index) => roleOf(index) !== 'superseded')
    .map((index): [IndexFacts, string] => {
      const wanted = ourOtherName(index) ?? otherName(index.name)
      return [index, index.name === wanted ? wanted : uniqueName(wanted, taken)]
    })
  return [
    ...indexes
      .filter((index) => roleOf(index) === 'superseded')
      .map(({ sql }) => `DROP INDEX ${schema}.${sql}`),
    ...names
      .filter(([{ name }, to]) => name !== to)
      .map(([{ sql }, to]) => `ALTER INDEX ${schema}.${sql} RENAME TO ${escapeIdentifier(to)}`),
    ...statistics.map(
      ({ schema: of, sql, name }) =>
        `ALTER STATISTICS ${of}.${sql} RENAME TO ${escapeIdentifier(uniqueName(otherName(name), taken))}`,
    ),
  ]
}

/** Those of the root; ATTACH then finds the same ones at the old table, and builds none. */
function constraintsAndIndexes({ schema, constraints, indexes }: Facts): string[] {
  const root = `${schema}.${ROOT}`
  const wanted = indexes.filter((index) => ['key', 'own'].includes(roleOf(index)))
  return [
    ...wanted.flatMap((index) => {
      const statement = createOnRoot(index, root)
      return index.tablespace === null
        ? [statement]
        : [
            `SET LOCAL default_tablespace = ${index.tablespace}`,
            statement,
            'SET LOCAL default_tablespace TO DEFAULT',
          ]
    }),
    ...TIME_INDEXES.map((kind) => createIndex(kind, root)),
    ...constraints
      .filter(({ name, type }) => type !== 'n' && name !== NOT_ERA)
      .map(({ sql, definition }) => `ALTER TABLE ${root} ADD CONSTRAINT ${sql} ${definition}`),
  ]
}

function createOnRoot(
  { sql, definition, constraint, constraintType, options }: IndexFacts,
  root: string,
): string {
  if (constraint === null) return definition
  // pg_get_constraintdef() leaves the storage parameters out.
  const [, text = constraint, rest = ''] = /^(.*?)((?: NOT)? DEFERRABLE.*)?$/s.exec(constraint) ?? []
  const storage = options === null || constraintType === 'x' ? '' : ` WITH (${options})`
  return `ALTER TABLE ${root} ADD CONSTRAINT ${sql} ${text}${storage}${rest}`
}

/** The era and `events_stray`, which has what leaves copy from it. */
function partitions(facts: Facts, era: Range): string[] {
  const { schema, owner, options, tablespace, replicaIdentity } = facts
  const stray = `${schema}.${STRAY}`
  const identity = { d: undefined, i: undefined, f: 'FULL', n: 'NOTHING' }[replicaIdentity]
  return [
    `CREATE TABLE ${schema}.${ERA} PARTITION OF ${schema}.${ROOT} FOR VALUES ${bounds(era)} PARTITION BY RANGE (event_id)`,
    `CREATE TABLE ${stray} PARTITION OF ${schema}.${ERA} DEFAULT` +
      (options === null ? '' : ` WITH (${options})`) +
      (tablespace === null ? '' : ` TABLESPACE ${tablespace}`),
    ...[`${schema}.${ERA}`, stray].map((table) => `ALTER TABLE ${table} OWNER TO ${owner}`),
    ...(identity === undefined ? [] : [`ALTER TABLE ${stray} REPLICA IDENTITY ${identity}`]),
    ...USER_INDEXES.map((kind) => createIndex(kind, stray)),
  ]
}

/** Their ids are looked up by the key; then the CHECK reads the whole table. */
function moveRowsOfEra({ schema, columns }: Facts, era: Range): string[] {
  const other = `${schema}.${OTHER}`
  const names = columns
    .filter(({ isGenerated }) => !isGenerated)
    .map(({ sql }) => sql)
    .join(', ')
  return [
    `WITH gone AS (DELETE FROM ONLY ${other} WHERE ${isIn(era)} RETURNING ${names})
     INSERT INTO ${schema}.${ROOT} (${names}) SELECT ${names} FROM gone`,
    'SET CONSTRAINTS ALL IMMEDIATE', // a table with rows that are still to be checked cannot be altered
    addNotEra(other, era),
  ]
}

/** The CHECK that keeps the ids of the era out of the old table. */
export function addNotEra(table: string, era: Range): string {
  return `ALTER TABLE ${table} ADD CONSTRAINT ${NOT_ERA} CHECK (NOT (${isIn(era)}))`
}
