/* What there is to the table `events`, from the catalog. It takes no lock that anyone waits for. */

const GRANTEE = `CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END`

/** Names that the tree needs. $1: in the schema of `events`. */
const TAKEN = `
  SELECT relname AS name, quote_ident(relname) AS sql, relkind AS kind FROM pg_class AS c
  WHERE c.relnamespace = t.relnamespace AND c.relname = ANY($1)`

const COLUMNS = `
  SELECT quote_ident(attname) AS sql, attidentity AS identity, attgenerated <> '' AS "isGenerated", attstattarget AS statistics,
    (SELECT string_agg(quote_ident(option_name) || ' = ' || quote_literal(option_value), ', ') FROM pg_options_to_table(attoptions)) AS options,
    CASE WHEN attidentity <> '' THEN pg_get_serial_sequence(t.oid::regclass::text, attname) END AS sequence
  FROM pg_attribute WHERE attrelid = t.oid AND attnum > 0 AND NOT attisdropped ORDER BY attnum`

const CONSTRAINTS = `
  SELECT conname AS name, quote_ident(conname) AS sql, contype AS type, pg_get_constraintdef(con.oid) AS definition,
    convalidated AS "isValid", connoinherit AND contype <> 'f' AS "noInherit", obj_description(con.oid, 'pg_constraint') AS comment
  FROM pg_constraint AS con WHERE conrelid = t.oid AND contype IN ('c', 'f', 'n') AND conparentid = 0 ORDER BY contype, conname`

/** Those of constraints, too; constraints of these kinds are created with them. */
const INDEXES = `
  SELECT c.relname AS name, quote_ident(c.relname) AS sql, amname AS method, indisunique AS "isUnique", indisvalid AS "isValid",
    pg_get_indexdef(c.oid) AS definition, indexprs IS NOT NULL AS "hasExpressions", quote_ident(spcname) AS tablespace,
    indpred IS NOT NULL AS "isPartial",
    coalesce((SELECT json_agg(attname ORDER BY k.n) FROM unnest(indkey::int2[]) WITH ORDINALITY AS k(attnum, n)
      JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = k.attnum WHERE k.n <= indnkeyatts), '[]') AS keys,
    (SELECT json_agg(opcname ORDER BY k.n) FROM unnest(indclass::oid[]) WITH ORDINALITY AS k(opc, n)
      JOIN pg_opclass AS o ON o.oid = k.opc) AS opclasses,
    (SELECT string_agg(quote_ident(option_name) || ' = ' || quote_literal(option_value), ', ') FROM pg_options_to_table(c.reloptions)) AS options,
    con.contype AS "constraintType", pg_get_constraintdef(con.oid) AS "constraint",
    obj_description(c.oid, 'pg_class') AS comment, obj_description(con.oid, 'pg_constraint') AS "constraintComment"
  FROM pg_index AS i JOIN pg_class AS c ON c.oid = indexrelid JOIN pg_am AS am ON am.oid = c.relam
  LEFT JOIN pg_tablespace AS ts ON ts.oid = c.reltablespace
  LEFT JOIN pg_constraint AS con ON con.conindid = c.oid AND con.contype IN ('p', 'u', 'x')
  WHERE indrelid = t.oid ORDER BY indisprimary DESC, c.relname`

const TRIGGERS = `
  SELECT tgname AS name, quote_ident(tgname) AS sql, pg_get_triggerdef(tr.oid) AS definition, tgenabled AS enabled,
    tgtype & 1 <> 0 AS "isRow", tgoldtable IS NOT NULL OR tgnewtable IS NOT NULL AS "hasTransitionTable",
    prosrc ~* 'tg_(table_name|relname|relid)' AS "readsTableName", obj_description(tr.oid, 'pg_trigger') AS comment
  FROM pg_trigger AS tr JOIN pg_proc AS p ON p.oid = tgfoid WHERE tgrelid = t.oid AND NOT tgisinternal ORDER BY tgname`

const POLICIES = `
  SELECT polname AS name, quote_ident(polname) AS sql, obj_description(pol.oid, 'pg_policy') AS comment,
    concat(CASE WHEN polpermissive THEN 'AS PERMISSIVE' ELSE 'AS RESTRICTIVE' END,
      ' FOR ', CASE polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
      ' TO ', (SELECT string_agg(${GRANTEE}, ', ') FROM unnest(polroles) AS grantee),
      ' USING (' || pg_get_expr(polqual, polrelid) || ')', ' WITH CHECK (' || pg_get_expr(polwithcheck, polrelid) || ')') AS definition
  FROM pg_policy AS pol WHERE polrelid = t.oid ORDER BY polname`

const GRANTS = `
  SELECT "column", ${GRANTEE} AS grantee, is_grantable AS "isGrantable", string_agg(privilege_type, ', ' ORDER BY privilege_type) AS privileges,
    bool_or(grantor <> t.relowner) AS "isOfOther"
  FROM (SELECT NULL AS "column", (aclexplode(t.relacl)).*
    UNION ALL SELECT quote_ident(attname), (aclexplode(attacl)).* FROM pg_attribute WHERE attrelid = t.oid AND NOT attisdropped) AS acl
  GROUP BY 1, 2, 3 ORDER BY 1 NULLS FIRST, 2, 3`

/** Roles that ALTER DEFAULT PRIVILEGES gives rights on a new table. */
const DEFAULT_GRANTEES = `
  SELECT DISTINCT ${GRANTEE} AS grantee FROM pg_default_acl CROSS JOIN LATERAL aclexplode(defaclacl)
  WHERE defaclrole = (SELECT oid FROM pg_roles WHERE rolname = current_user) AND defaclobjtype = 'r' AND defaclnamespace IN (0, t.relnamespace)`

const STATISTICS = `
  SELECT stxname AS name, quote_ident(nspname) AS schema, quote_ident(stxname) AS sql, pg_get_statisticsobjdef(s.oid) AS definition,
    stxstattarget AS target, quote_ident(pg_get_userbyid(stxowner)) AS owner, obj_description(s.oid, 'pg_statistic_ext') AS comment
  FROM pg_statistic_ext AS s JOIN pg_namespace AS n ON n.oid = stxnamespace WHERE stxrelid = t.oid ORDER BY stxname`

/** Sequences of serial columns, which go when their column goes. */
const SEQUENCES = `
  SELECT s.oid::regclass::text AS sequence, quote_ident(attname) AS "column"
  FROM pg_depend AS d JOIN pg_class AS s ON s.oid = d.objid AND s.relkind = 'S'
  JOIN pg_attribute AS a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
  WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid AND d.deptype = 'a'`

/** All that depends on the table, or on its row type, and is not listed above: its own parts have the kind ''. */
const DEPENDENTS = `
  SELECT DISTINCT
    CASE d.classid
      WHEN 'pg_rewrite'::regclass THEN CASE WHEN r.ev_class = t.oid THEN 'rule' WHEN v.relkind = 'v' THEN 'view' WHEN v.relkind = 'm' THEN 'materialized view' ELSE 'other' END
      WHEN 'pg_constraint'::regclass THEN CASE WHEN con.conrelid = t.oid AND con.confrelid <> t.oid THEN '' WHEN con.confrelid = t.oid THEN 'foreign key' ELSE 'other' END
      WHEN 'pg_class'::regclass THEN CASE WHEN i.indrelid = t.oid OR c.relkind IN ('S', 't') AND d.deptype IN ('a', 'i') THEN ''
        WHEN EXISTS (SELECT FROM pg_inherits WHERE inhparent = t.oid AND inhrelid = c.oid) THEN 'child' ELSE 'other' END
      WHEN 'pg_attrdef'::regclass THEN CASE WHEN def.adrelid = t.oid THEN '' ELSE 'other' END
      WHEN 'pg_trigger'::regclass THEN CASE WHEN tr.tgrelid = t.oid THEN '' ELSE 'other' END
      WHEN 'pg_policy'::regclass THEN CASE WHEN pol.polrelid = t.oid THEN '' ELSE 'other' END
      WHEN 'pg_statistic_ext'::regclass THEN ''
      WHEN 'pg_type'::regclass THEN CASE WHEN d.objid IN (t.reltype, ty.typarray) THEN '' ELSE 'other' END
      WHEN 'pg_publication_rel'::regclass THEN ''
      ELSE 'other' END AS kind,
    coalesce(quote_ident(r.rulename), quote_ident(con.conname)) AS sql,
    coalesce(con.conrelid, r.ev_class, c.oid)::regclass::text AS "table",
    pg_describe_object(d.classid, d.objid, d.objsubid) AS description
  FROM pg_depend AS d
  JOIN pg_type AS ty ON ty.oid = t.reltype
  LEFT JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
  LEFT JOIN pg_class AS v ON v.oid = r.ev_class
  LEFT JOIN pg_constraint AS con ON d.classid = 'pg_constraint'::regclass AND con.oid = d.objid
  LEFT JOIN pg_class AS c ON d.classid = 'pg_class'::regclass AND c.oid = d.objid
  LEFT JOIN pg_index AS i ON i.indexrelid = c.oid
  LEFT JOIN pg_attrdef AS def ON d.classid = 'pg_attrdef'::regclass AND def.oid = d.objid
  LEFT JOIN pg_trigger AS tr ON d.classid = 'pg_trigger'::regclass AND tr.oid = d.objid
  LEFT JOIN pg_policy AS pol ON d.classid = 'pg_policy'::regclass AND pol.oid = d.objid
  WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = t.oid
    OR d.refclassid = 'pg_type'::regclass AND d.refobjid IN (t.reltype, ty.typarray)`

/** What is on no list of dependents. */
const TIES = `
  SELECT 'publication' AS kind, quote_ident(pubname) AS sql FROM pg_publication_rel JOIN pg_publication AS p ON p.oid = prpubid WHERE prrelid = t.oid
  UNION ALL SELECT 'wide publication', quote_ident(pubname) FROM pg_publication AS p WHERE NOT pubviaroot
    AND (puballtables OR EXISTS (SELECT FROM pg_publication_namespace WHERE pnpubid = p.oid AND pnnspid = t.relnamespace))
  UNION ALL SELECT 'subscription', quote_ident(subname) FROM pg_subscription_rel JOIN pg_subscription AS s ON s.oid = srsubid WHERE srrelid = t.oid
  UNION ALL SELECT 'parent', inhparent::regclass::text FROM pg_inherits WHERE inhrelid = t.oid
  UNION ALL SELECT 'extension', quote_ident(extname) FROM pg_depend JOIN pg_extension AS e ON refclassid = 'pg_extension'::regclass AND e.oid = refobjid
    WHERE classid = 'pg_class'::regclass AND objid = t.oid AND deptype = 'e'
  UNION ALL SELECT 'type', t.reloftype::regtype::text WHERE t.reloftype <> 0
  UNION ALL SELECT 'unlogged', '' WHERE t.relpersistence <> 'p'
  UNION ALL SELECT 'access method', quote_ident(amname) FROM pg_am WHERE pg_am.oid = t.relam AND amname <> 'heap'
  UNION ALL SELECT 'forced row-level security', '' WHERE t.relforcerowsecurity
    AND NOT (SELECT rolsuper OR rolbypassrls FROM pg_roles WHERE rolname = current_user)`

const list = (query: string): string => `(SELECT coalesce(json_agg(each), '[]') FROM (${query}) AS each)`

/** One row with one JSON object, Facts. $1: the names that the tree needs, which no other relation may have. */
export const READ_FACTS = `
  SELECT json_build_object(
    'schema', quote_ident(nspname), 'owner', quote_ident(pg_get_userbyid(relowner)), 'bytes', pg_relation_size(t.oid),
    'options', (SELECT string_agg(prefix || quote_ident(option_name) || ' = ' || quote_literal(option_value), ', ')
      FROM (SELECT '' AS prefix, t.reloptions AS options
        UNION ALL SELECT 'toast.', reloptions FROM pg_class WHERE oid = t.reltoastrelid) AS sets
      CROSS JOIN LATERAL pg_options_to_table(options)),
    'tablespace', (SELECT quote_ident(spcname) FROM pg_tablespace WHERE oid = t.reltablespace),
    'replicaIdentity', relreplident, 'rowSecurity', relrowsecurity, 'forceRowSecurity', relforcerowsecurity,
    'hasAcl', relacl IS NOT NULL, 'comment', obj_description(t.oid, 'pg_class'),
    'taken', ${list(TAKEN)}, 'columns', ${list(COLUMNS)}, 'constraints', ${list(CONSTRAINTS)}, 'indexes', ${list(INDEXES)},
    'triggers', ${list(TRIGGERS)}, 'policies', ${list(POLICIES)}, 'grants', ${list(GRANTS)}, 'defaultGrantees', ${list(DEFAULT_GRANTEES)},
    'statistics', ${list(STATISTICS)}, 'sequences', ${list(SEQUENCES)},
    'dependents', ${list(`SELECT * FROM (${DEPENDENTS}) AS all_of_them WHERE kind <> ''`)}, 'ties', ${list(TIES)}
  ) AS facts
  FROM pg_class AS t JOIN pg_namespace AS n ON n.oid = t.relnamespace WHERE t.oid = to_regclass('events')`
