import { ROOT } from '../../postgres/partitions/tree.ts'
import type { ColumnFacts, ConstraintFacts, DependentFacts, Facts, IndexFacts, TieFacts } from './facts.ts'
import { roleOf } from './index-roles.ts'

/** Why a table is not converted: a sentence that ends with what to do about it. */
export type Refusal = string

/** A table whose row-level security hides rows, or to which something is tied that would stay with `events_other`. Pure. */
export function refusalsOf(facts: Facts): Refusal[] {
  const table = `${facts.schema}.${ROOT}`
  return [
    ...facts.ties.map((tie) => ofTie(tie, table)),
    ...facts.dependents.map((dependent) => ofDependent(dependent, table)),
    ...facts.columns.filter(({ identity }) => identity !== '').map((column) => ofIdentity(column, facts)),
    ...ofKey(facts, table),
    ...facts.indexes.flatMap((index) => ofIndex(index, facts.schema, table)),
    ...facts.constraints.flatMap((constraint) => ofConstraint(constraint, table)),
    ...facts.triggers
      .filter(({ isRow, hasTransitionTable }) => isRow && hasTransitionTable)
      .map(
        ({ sql }) =>
          `The row trigger ${sql} has a transition table, which partitions cannot have: DROP TRIGGER ${sql} ON ${table}; or create it again FOR EACH STATEMENT`,
      ),
    ...facts.taken.map(
      ({ name, sql, kind }) =>
        `The name ${sql} is needed: ALTER ${RELATIONS[kind] ?? 'TABLE'} ${facts.schema}.${sql} RENAME TO ${name}_before;`,
    ),
  ]
}

const RELATIONS: Readonly<Record<string, string>> = {
  i: 'INDEX',
  I: 'INDEX',
  v: 'VIEW',
  m: 'MATERIALIZED VIEW',
  S: 'SEQUENCE',
  f: 'FOREIGN TABLE',
  c: 'TYPE',
}

function ofTie({ kind, sql }: TieFacts, table: string): Refusal {
  switch (kind) {
    case 'publication':
      return `The publication ${sql} would go on with the old table alone. Stop the sinks (Kafka keeps the events) and let the subscribers catch up; then ALTER PUBLICATION ${sql} DROP TABLE ${table}; and when the table is converted, ALTER PUBLICATION ${sql} ADD TABLE ${table}; ALTER PUBLICATION ${sql} SET (publish_via_partition_root = true)`
    case 'wide publication':
      return `The publication ${sql} would publish the partitions under their own names, which subscribers do not have: ALTER PUBLICATION ${sql} SET (publish_via_partition_root = true);`
    case 'subscription':
      return `The subscription ${sql} writes to the old table: DROP SUBSCRIPTION ${sql}; and create it again when the table is converted, WITH (copy_data = false)`
    case 'parent':
      return `${table} inherits from ${sql}: ALTER TABLE ${table} NO INHERIT ${sql};`
    case 'extension':
      return `${table} belongs to the extension ${sql}: ALTER EXTENSION ${sql} DROP TABLE ${table};`
    case 'type':
      return `${table} is of the type ${sql}, which a partition cannot be: ALTER TABLE ${table} NOT OF;`
    case 'unlogged':
      return `${table} is not logged, and a crash would empty it: ALTER TABLE ${table} SET LOGGED; (it rewrites the table, and stops the sinks meanwhile)`
    case 'access method':
      return `${table} has the access method ${sql}, and partitions would not: ALTER TABLE ${table} SET ACCESS METHOD heap; (it rewrites the table, and stops the sinks meanwhile)`
    case 'forced row-level security':
      return `Row-level security is forced on ${table} and may hide rows from this role: ALTER TABLE ${table} NO FORCE ROW LEVEL SECURITY; or run this as a superuser or a role with BYPASSRLS`
  }
}

function ofDependent({ kind, sql, table: other, description }: DependentFacts, table: string): Refusal {
  const again = 'and create it again when the table is converted'
  switch (kind) {
    case 'rule':
      return `The rule ${sql} would stay with the old table: DROP RULE ${sql} ON ${table}; a trigger can do what it does`
    case 'view':
      return `The view ${other} would go on reading the old table alone: keep its definition (SELECT pg_get_viewdef('${other}')), DROP VIEW ${other}; ${again}`
    case 'materialized view':
      return `The materialized view ${other} would go on reading the old table alone: keep its definition (SELECT pg_get_viewdef('${other}')), DROP MATERIALIZED VIEW ${other}; ${again}`
    case 'foreign key':
      return `The foreign key ${sql} of ${other} would go on referring to the old table alone: ALTER TABLE ${other} DROP CONSTRAINT ${sql}; ${again}`
    case 'child':
      return `${other} inherits from ${table}, which a partitioned table does not allow: ALTER TABLE ${other} NO INHERIT ${table};`
    case 'other':
      return `There is something that depends on ${table} and would stay with the old table: ${description}. Drop it, ${again}`
  }
}

/** A sequence of its own does the same, and partitions can share it. */
function ofIdentity({ sql, sequence }: ColumnFacts, { schema, owner, grants }: Facts): Refusal {
  const table = `${schema}.${ROOT}`
  const shared = `${schema}.${ROOT}_${sql.replaceAll(/\W/g, '')}_numbers`
  const writers = grants.filter(({ privileges, column }) => column === null && privileges.includes('INSERT'))
  const roles = [...new Set(writers.map(({ grantee }) => grantee))].filter((role) => role !== owner)
  return [
    `The column ${sql} is an identity column, which no partition can bring along: give it a sequence instead. BEGIN; LOCK TABLE ${table} IN ACCESS EXCLUSIVE MODE`,
    `CREATE SEQUENCE ${shared}`,
    `ALTER SEQUENCE ${shared} OWNER TO ${owner}`,
    `ALTER SEQUENCE ${shared} OWNED BY ${table}.${sql}`,
    `SELECT setval('${shared}', last_value, is_called) FROM ${sequence ?? shared}`,
    `ALTER TABLE ${table} ALTER COLUMN ${sql} DROP IDENTITY`,
    `ALTER TABLE ${table} ALTER COLUMN ${sql} SET DEFAULT nextval('${shared}')`,
    ...(roles.length === 0 ? [] : [`GRANT USAGE ON SEQUENCE ${shared} TO ${roles.join(', ')}`]),
    'COMMIT;',
  ].join('; ')
}

function ofKey({ indexes }: Facts, table: string): Refusal[] {
  const key = indexes.find(({ constraintType }) => constraintType === 'p')
  if (key?.keys.join() === 'event_id') return []
  const drop = key === undefined ? '' : `DROP CONSTRAINT ${key.sql}, `
  return [
    `The primary key is not event_id alone, so an event could be stored twice: ALTER TABLE ${table} ${drop}ADD PRIMARY KEY (event_id); (the sinks wait while its index is built)`,
  ]
}

function ofConstraint(
  { sql, type, definition, isValid, noInherit }: ConstraintFacts,
  table: string,
): Refusal[] {
  const what = `The ${{ c: 'CHECK', f: 'foreign key', n: 'NOT NULL' }[type]} ${sql}`
  const why = `${what} is NO INHERIT, which partitions cannot have`
  if (noInherit && type === 'n') return [`${why}: ALTER TABLE ${table} ALTER CONSTRAINT ${sql} INHERIT;`]
  if (noInherit) {
    const inherited = definition.replace(/ NO INHERIT\b/, '').replace(/( NOT VALID)?$/, ' NOT VALID')
    return [`${why}: ALTER TABLE ${table} DROP CONSTRAINT ${sql}, ADD CONSTRAINT ${sql} ${inherited};`]
  }
  if (isValid || type === 'c') return []
  return [
    `${what} is not validated, and cannot become that of a partitioned table: ALTER TABLE ${table} VALIDATE CONSTRAINT ${sql};`,
  ]
}

function ofIndex(index: IndexFacts, schema: string, table: string): Refusal[] {
  const { sql, constraintType, isUnique, isValid, keys } = index
  const isConstraint = constraintType !== null
  const name = `${schema}.${sql}`
  const drop = isConstraint
    ? `ALTER TABLE ${table} DROP CONSTRAINT ${sql};`
    : `DROP INDEX CONCURRENTLY ${name};`
  if (constraintType !== 'p' && (isUnique || constraintType === 'x') && !keys.includes('event_id'))
    return [
      `The ${constraintType === 'x' ? 'exclusion constraint' : `unique ${isConstraint ? 'constraint' : 'index'}`} ${sql} lacks event_id, and no index of a partitioned table can guarantee what it does: ${drop} or leave the table as it is`,
    ]
  if (!isValid && roleOf(index) === 'own')
    return [
      `The index ${sql} is not valid, because its build was interrupted or still runs: DROP INDEX CONCURRENTLY ${name}; or REINDEX INDEX CONCURRENTLY ${name}`,
    ]
  return []
}
