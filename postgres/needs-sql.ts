import { SINK_TABLE_PRIVILEGES } from './roles.ts'

/* What the database is like for a sink. All of it may be read by every role, and takes no lock. */

/** Every pair of a table and a privilege that the sink needs, as the rows of a VALUES list. */
const PRIVILEGES = Object.entries(SINK_TABLE_PRIVILEGES)
  .flatMap(([table, privileges]) => privileges.map((privilege) => `('${table}', '${privilege}')`))
  .join(', ')

/** The sequences that the defaults of a table use: those of serial columns. @param table SQL for its oid */
export function sequencesOf(table: string): string {
  return `SELECT s.oid FROM pg_attrdef AS def
    JOIN pg_depend AS d ON d.classid = 'pg_attrdef'::regclass AND d.objid = def.oid AND d.refclassid = 'pg_class'::regclass
    JOIN pg_class AS s ON s.oid = d.refobjid AND s.relkind = 'S' WHERE def.adrelid = ${table}`
}

/** The sequences of `events`, as SQL, in the column `sequence`. */
export const EVENT_SEQUENCES = `SELECT oid::regclass::text AS sequence FROM (${sequencesOf(`'events'::regclass`)}) AS s`

/**
 * One row with one JSON object, NeedFacts; roles, rules and constraints in it are quoted for SQL. $1: the roles of the
 * sinks, or null for the current one. Rights and row-level security are those of these roles; what is visible is what the
 * current role sees.
 */
export const READ_NEEDS = `
  WITH role AS (
    SELECT oid, quote_ident(rolname) AS name, rolsuper OR rolbypassrls AS sees_all FROM pg_roles
    WHERE rolname = ANY (coalesce($1::text[], ARRAY[current_user::text]))
  ), tab AS (
    SELECT wanted.name, c.oid, c.relkind, c.relrowsecurity, c.relforcerowsecurity, c.relowner, c.relnamespace
    FROM unnest(ARRAY['events', 'sink_offsets', 'dead_letters']) AS wanted(name)
    LEFT JOIN pg_class AS c ON c.oid = to_regclass(wanted.name)
  ), lacking(role, "on", object, privilege) AS (
    SELECT role.name, '', tab.oid::regclass::text, privilege FROM role CROSS JOIN (VALUES ${PRIVILEGES}) AS p("table", privilege)
    JOIN tab ON tab.name = p."table" WHERE NOT has_table_privilege(role.oid, tab.oid, privilege)
    UNION ALL SELECT DISTINCT role.name, 'SCHEMA ', relnamespace::regnamespace::text, 'USAGE' FROM role CROSS JOIN tab
    WHERE NOT has_schema_privilege(role.oid, relnamespace, 'USAGE')
    UNION ALL SELECT role.name, 'SEQUENCE ', s.oid::regclass::text, 'USAGE' FROM role
    CROSS JOIN (${sequencesOf(`to_regclass('events')`)}) AS s WHERE NOT has_sequence_privilege(role.oid, s.oid, 'USAGE')
    UNION ALL SELECT role.name, 'DATABASE ', quote_ident(current_database()), 'TEMPORARY' FROM role
    WHERE NOT has_database_privilege(role.oid, current_database(), 'TEMPORARY')
  )
  SELECT json_build_object(
    'role', quote_ident(current_user),
    'tables', (SELECT json_agg(json_build_object('name', name, 'kind', relkind)) FROM tab),
    'isMigrated', to_regclass('firehose_migrations') IS NOT NULL,
    'elsewhere', (SELECT coalesce(json_agg(json_build_object('schema', nspname, 'isSearched', nspname = ANY (path.names))), '[]')
      FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace
      CROSS JOIN (SELECT regexp_split_to_array(
        replace(replace(current_setting('search_path'), '"', ''), '$user', current_user), ' *, *') AS names) AS path
      WHERE relname = 'sink_offsets' AND relkind = 'r' AND NOT pg_table_is_visible(c.oid)),
    'hidden', (SELECT coalesce(json_agg(json_build_object('role', role.name, 'table', tab.name)), '[]') FROM role CROSS JOIN tab
      WHERE relrowsecurity AND NOT sees_all AND (relforcerowsecurity OR NOT pg_has_role(role.oid, relowner, 'USAGE'))),
    'lacking', (SELECT coalesce(json_agg(lacking), '[]') FROM lacking),
    'rules', (SELECT coalesce(json_agg(quote_ident(rulename)), '[]') FROM pg_rewrite WHERE ev_class = to_regclass('events') AND ev_type IN ('2', '3')),
    'deferrable', (SELECT coalesce(json_agg(quote_ident(conname)), '[]') FROM pg_constraint
      WHERE conrelid = to_regclass('events') AND condeferrable AND contype IN ('p', 'u', 'x'))
  ) AS facts`
