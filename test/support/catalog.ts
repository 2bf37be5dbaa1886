import { ask } from '../../tools/stack/ask.ts'

/* What PostgreSQL says about a table, so that the same can be asked of another, or of the same one later. */

/** Lines of text by kind, each sorted; the name of the table in them is replaced by T. */
export type Catalog = Record<string, string[]>

const KINDS: Readonly<Record<string, string>> = {
  table: `SELECT concat_ws(' ', pg_get_userbyid(relowner), relrowsecurity, relforcerowsecurity, obj_description(oid, 'pg_class'))
    FROM pg_class WHERE oid = $1::regclass`,
  columns: `SELECT concat_ws(' ', attname, format_type(atttypid, atttypmod), attcollation::regcollation, attnotnull, attgenerated, attidentity,
      pg_get_expr(adbin, adrelid), attstorage, attcompression, col_description(attrelid, attnum))
    FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped`,
  statistics_targets: `SELECT concat_ws(' ', attname, attstattarget, attoptions) FROM pg_attribute
    WHERE attrelid = $1::regclass AND (attstattarget IS NOT NULL OR attoptions IS NOT NULL) AND NOT attisdropped`,
  constraints: `SELECT concat_ws(' ', conname, pg_get_constraintdef(oid), obj_description(oid, 'pg_constraint')) FROM pg_constraint
    WHERE conrelid = $1::regclass AND contype NOT IN ('t', 'n')`,
  not_null: `SELECT concat_ws(' ', conname, pg_get_constraintdef(oid), obj_description(oid, 'pg_constraint')) FROM pg_constraint
    WHERE conrelid = $1::regclass AND contype = 'n'`,
  indexes: `SELECT concat_ws(' ', replace(pg_get_indexdef(indexrelid), ' ON ONLY ', ' ON '), obj_description(indexrelid, 'pg_class'), indisvalid, indisready)
    FROM pg_index WHERE indrelid = $1::regclass`,
  triggers: `SELECT concat_ws(' ', pg_get_triggerdef(oid), tgenabled, obj_description(oid, 'pg_trigger')) FROM pg_trigger
    WHERE tgrelid = $1::regclass AND NOT tgisinternal`,
  policies: `SELECT concat_ws(' ', polname, polpermissive, polcmd, polroles::regrole[], pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid),
      obj_description(oid, 'pg_policy')) FROM pg_policy WHERE polrelid = $1::regclass`,
  grants: `SELECT concat_ws(' ', col, grantee::regrole, privilege_type, is_grantable) FROM (
      SELECT '' AS col, (aclexplode(coalesce(relacl, acldefault('r', relowner)))).* FROM pg_class WHERE oid = $1::regclass
      UNION ALL SELECT attname, (aclexplode(attacl)).* FROM pg_attribute WHERE attrelid = $1::regclass AND NOT attisdropped) AS acl`,
  extended_statistics: `SELECT concat_ws(' ', pg_get_statisticsobjdef(oid), stxstattarget, pg_get_userbyid(stxowner), obj_description(oid, 'pg_statistic_ext'))
    FROM pg_statistic_ext WHERE stxrelid = $1::regclass`,
  sequences: `SELECT concat_ws(' ', objid::regclass, attname) FROM pg_depend JOIN pg_attribute ON attrelid = refobjid AND attnum = refobjsubid
    WHERE classid = 'pg_class'::regclass AND refobjid = $1::regclass AND deptype = 'a' AND objid IN (SELECT oid FROM pg_class WHERE relkind = 'S')`,
  storage: `SELECT concat_ws(' ', c.reloptions, toast.reloptions, c.relreplident) FROM pg_class AS c
    LEFT JOIN pg_class AS toast ON toast.oid = c.reltoastrelid WHERE c.oid = $1::regclass`,
}

const ALL = Object.entries(KINDS)
  .map(([kind, sql]) => `SELECT '${kind}' AS kind, line FROM (${sql}) AS lines(line)`)
  .join(' UNION ALL ')

/** @param table as SQL */
export async function catalogOf(url: string, table: string): Promise<Catalog> {
  const name = new RegExp(`\\b${table.split('.').at(-1)}\\b`, 'g')
  const rows = await ask<{ kind: string; line: string }>(url, ALL, { values: [table] })
  const kinds = Object.keys(KINDS).map((wanted) => [
    wanted,
    rows
      .filter(({ kind }) => kind === wanted)
      .map(({ line }) => line.replaceAll(name, 'T'))
      .toSorted(),
  ])
  return Object.fromEntries(kinds) as Catalog
}
