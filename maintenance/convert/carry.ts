import { escapeLiteral } from 'pg'
import { OTHER, ROOT } from '../../postgres/partitions/tree.ts'
import { roleOf } from './index-roles.ts'
import type { Facts } from './facts.ts'

/* What the root takes over from the old table besides its columns and indexes; all as SQL, and pure. */

/** Comments; those of columns come with LIKE. */
export function commentsOf(facts: Facts): string[] {
  const { schema, constraints, triggers, policies, statistics, comment } = facts
  const indexes = facts.indexes.filter((index) => ['key', 'own'].includes(roleOf(index)))
  const root = `${schema}.${ROOT}`
  const of = (what: string, text: string | null): string[] =>
    text === null ? [] : [`COMMENT ON ${what} IS ${escapeLiteral(text)}`]
  return [
    ...of(`TABLE ${root}`, comment),
    ...constraints.flatMap((each) => of(`CONSTRAINT ${each.sql} ON ${root}`, each.comment)),
    ...indexes.flatMap((each) => of(`CONSTRAINT ${each.sql} ON ${root}`, each.constraintComment)),
    ...indexes.flatMap((each) => of(`INDEX ${schema}.${each.sql}`, each.comment)),
    ...triggers.flatMap((each) => of(`TRIGGER ${each.sql} ON ${root}`, each.comment)),
    ...statistics.flatMap((each) => of(`STATISTICS ${each.schema}.${each.sql}`, each.comment)),
    ...policies.flatMap((each) => of(`POLICY ${each.sql} ON ${root}`, each.comment)),
  ]
}

/** Row-level security and grants. */
export function accessOf({ schema, owner, grants, defaultGrantees, hasAcl, ...facts }: Facts): string[] {
  const root = `${schema}.${ROOT}`
  const others = defaultGrantees.map(({ grantee }) => grantee)
  const revokees = new Set(hasAcl ? [owner, ...others] : others.filter((other) => other !== owner))
  return [
    ...facts.policies.map(({ sql, definition }) => `CREATE POLICY ${sql} ON ${root} ${definition}`),
    ...(facts.rowSecurity ? [`ALTER TABLE ${root} ENABLE ROW LEVEL SECURITY`] : []),
    ...(facts.forceRowSecurity ? [`ALTER TABLE ${root} FORCE ROW LEVEL SECURITY`] : []),
    ...(revokees.size === 0 ? [] : [`REVOKE ALL ON ${root} FROM ${[...revokees].join(', ')}`]),
    ...grants.map(
      ({ column, grantee, isGrantable, privileges }) =>
        `GRANT ${column === null ? privileges : privileges.replaceAll(/\w+/g, (each) => `${each} (${column})`)}
         ON ${root} TO ${grantee}${isGrantable ? ' WITH GRANT OPTION' : ''}`,
    ),
  ]
}

/** Whoever reads events does so by the root: its rights and policies count, and those of `events_other` could be forgotten. */
export function closeOther({
  schema,
  owner,
  grants,
  policies,
  rowSecurity,
  forceRowSecurity,
}: Facts): string[] {
  const other = `${schema}.${OTHER}`
  const grantees = [...new Set(grants.map(({ grantee }) => grantee))].filter((grantee) => grantee !== owner)
  return [
    ...(grantees.length === 0 ? [] : [`REVOKE ALL ON ${other} FROM ${grantees.join(', ')} CASCADE`]),
    ...policies.map(({ sql }) => `DROP POLICY ${sql} ON ${other}`),
    ...(rowSecurity ? [`ALTER TABLE ${other} DISABLE ROW LEVEL SECURITY`] : []),
    ...(forceRowSecurity ? [`ALTER TABLE ${other} NO FORCE ROW LEVEL SECURITY`] : []),
  ]
}
