import { sequencesOf } from '../postgres/needs-sql.ts'
import { TREE } from '../postgres/partitions/tree.ts'
import { EVENT_COLUMN_NAMES } from '../sink-worker/store/event-table.ts'

/* The doctor's SQL. It reads views that every role may read, and takes no lock that anyone else waits for. */

/** The tables of Firehose. */
export const TABLES = ['events', 'sink_offsets', 'dead_letters'] as const

export const SERVER = `
  SELECT current_setting('server_version_num')::int AS version_num, current_setting('server_version') AS version,
    current_setting('server_encoding') AS encoding,
    current_user AS role, current_database() AS database, pg_is_in_recovery() AS in_recovery,
    current_setting('fsync') = 'on' AS fsync, current_setting('full_page_writes') = 'on' AS full_page_writes,
    (SELECT setting FROM pg_settings WHERE name = 'data_directory') AS data_directory,
    (SELECT age(datfrozenxid) FROM pg_database WHERE datname = current_database()) AS xid_age,
    (SELECT count(*)::int FROM pg_stat_activity WHERE backend_type = 'client backend') AS connections,
    current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int
      - coalesce(current_setting('reserved_connections', true)::int, 0) AS connections_limit`

/** Some hosting providers do not permit this. */
export const SYSTEM_IDENTIFIER = 'SELECT system_identifier::text AS id FROM pg_control_system()'

/** The roles of the connected sinks. */
export const SINK_ROLES = `
  SELECT DISTINCT usename::text AS role FROM pg_stat_activity
  WHERE application_name = $1 AND datname = current_database() AND usename IS NOT NULL ORDER BY 1`

/** The roles that may write the offsets, apart from the owner of the table: those of sinks that are not connected now. */
export const GRANTED_ROLES = `
  SELECT DISTINCT rolname::text AS role FROM pg_class CROSS JOIN LATERAL aclexplode(relacl) AS acl
  JOIN pg_roles ON pg_roles.oid = acl.grantee AND rolcanlogin
  WHERE pg_class.oid = to_regclass('sink_offsets') AND acl.grantee <> relowner AND privilege_type IN ('INSERT', 'UPDATE') ORDER BY 1`

/** The settings named in $1, as they are in this session outside transactions. */
export const SESSION_SETTINGS = `
  SELECT name, reset_val AS value, unit, source IN ('user', 'database user') AS "ofRole"
  FROM pg_settings WHERE name = ANY($1)`

/** Settings made for roles, in this database or (ofDatabase false) in every database. A null role means all roles. */
export const ROLE_SETTINGS = `
  SELECT rolname::text AS role, setdatabase <> 0 AS "ofDatabase", split_part(entry, '=', 1) AS name,
    substr(entry, strpos(entry, '=') + 1) AS value
  FROM pg_db_role_setting
  LEFT JOIN pg_roles ON pg_roles.oid = setrole
  CROSS JOIN LATERAL unnest(setconfig) AS entry
  WHERE setdatabase IN (0, (SELECT oid FROM pg_database WHERE datname = current_database()))`

/** The tables, and those partitions of `events` that are unlogged. */
export const FOUND_TABLES = `
  WITH RECURSIVE ${TREE}
  SELECT name, relpersistence = 'u' AS unlogged
  FROM unnest($1::text[]) AS name JOIN pg_class ON pg_class.oid = to_regclass(quote_ident(name))
  UNION ALL SELECT oid::regclass::text, true FROM pg_class
    WHERE oid IN (SELECT oid FROM tree) AND relispartition AND relpersistence = 'u'`

/**
 * Added columns without which the rows of the sink are refused, with the table that requires one. A default counts only
 * where rows enter, at the root.
 */
export const REQUIRED_COLUMNS = `
  WITH RECURSIVE ${TREE}
  SELECT quote_ident(a.attname) AS name,
    CASE WHEN bool_or(a.attrelid = root.attrelid) THEN 'events' ELSE min(a.attrelid::regclass::text) END AS "table"
  FROM tree JOIN pg_attribute AS a ON a.attrelid = tree.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attnotnull
  JOIN pg_attribute AS root ON root.attrelid = 'events'::regclass AND root.attname = a.attname
  WHERE NOT root.atthasdef AND root.attidentity = '' AND a.attname NOT IN (${EVENT_COLUMN_NAMES})
  GROUP BY a.attname`

/** Whether firehose_migrations exists, and whether this role may read it. */
export const CAN_READ_MIGRATIONS = `
  SELECT to_regclass('firehose_migrations') IS NOT NULL AS exists,
    coalesce(has_table_privilege(to_regclass('firehose_migrations'), 'SELECT'), false) AS readable`

/** Of the tables $1 and of all partitions of `events`, without those that are being built. */
export const INDEXES = `
  WITH RECURSIVE ${TREE}
  SELECT t.oid::int8::float8 AS "tableOid", t.relname::text AS "table", quote_ident(c.relname) AS name, c.relkind = 'I' AS "isRoot",
    indisvalid AS valid, indisunique AND indpred IS NULL AND indexprs IS NULL AS "unique",
    (SELECT string_agg(attname, ',' ORDER BY k.position) FROM unnest(indkey::int2[]) WITH ORDINALITY AS k(attnum, position)
      JOIN pg_attribute AS a ON a.attrelid = indrelid AND a.attnum = k.attnum WHERE k.position <= indnkeyatts) AS keys,
    (SELECT opcname::text FROM pg_opclass WHERE oid = indclass[0]) AS operators
  FROM pg_index JOIN pg_class AS c ON c.oid = indexrelid JOIN pg_class AS t ON t.oid = indrelid
  WHERE indrelid IN (SELECT to_regclass(quote_ident(name)) FROM unnest($1::text[]) AS name UNION SELECT oid FROM tree)
    AND (indisvalid OR NOT EXISTS (SELECT FROM pg_stat_progress_create_index AS building
      WHERE building.datname = current_database() AND coalesce(building.index_relid, indexrelid) = indexrelid))`

/**
 * What the functions of triggers on INSERT seem to use, by the words of their source, and the roles $1 lack. Functions that
 * run with their owner's rights are left out. (No backslashes: standard_conforming_strings may be off.)
 */
export const TRIGGER_NEEDS = `
  WITH RECURSIVE ${TREE}, fn AS (
    SELECT DISTINCT quote_ident(tgname) AS trigger, p.oid::regprocedure::text AS function, prosrc
    FROM pg_trigger JOIN pg_proc AS p ON p.oid = tgfoid
    WHERE tgrelid IN (SELECT oid FROM tree) AND NOT tgisinternal AND tgenabled IN ('O', 'A') AND tgtype & 4 <> 0 AND NOT prosecdef
  ), used AS (
    SELECT trigger, function, c.oid, privilege FROM fn
    JOIN pg_class AS c ON c.relkind IN ('r', 'p') AND relname ~ '^[[:alnum:]_]+$' AND c.oid NOT IN (SELECT oid FROM tree)
    JOIN pg_namespace AS n ON n.oid = relnamespace AND nspname NOT IN ('pg_catalog', 'information_schema') AND nspname !~ '^pg_'
    CROSS JOIN (VALUES ('INSERT', 'insert +into'), ('UPDATE', 'update'), ('DELETE', 'delete +from'), ('SELECT', '(from|join)'))
      AS word(privilege, pattern)
    WHERE regexp_replace(prosrc, '[[:space:]]+', ' ', 'g')
      ~* ('(^|[^[:alnum:]_])' || pattern || ' +(only +)?("?[[:alnum:]_]+"?[.])?"?' || relname || '("|[^[:alnum:]_]|$)')
  )
  SELECT quote_ident(rolname) AS role, '' AS "on", used.oid::regclass::text AS object, privilege, trigger, function
  FROM used CROSS JOIN pg_roles WHERE rolname = ANY($1) AND NOT has_table_privilege(pg_roles.oid, used.oid, privilege)
  UNION SELECT quote_ident(rolname), 'SEQUENCE ', s.oid::regclass::text, 'USAGE', trigger, function
  FROM used CROSS JOIN pg_roles CROSS JOIN LATERAL (${sequencesOf('used.oid')}) AS s
  WHERE privilege = 'INSERT' AND rolname = ANY($1) AND NOT has_sequence_privilege(pg_roles.oid, s.oid, 'USAGE')
  ORDER BY 1, 5, 3`

/**
 * Granted locks that the sink's writes wait for: on a table or on any partition of `events`, or on rows of sink_offsets that
 * another session writes. Age and state are null if this role may not see them.
 */
export const LOCKS = `
  WITH RECURSIVE ${TREE}
  SELECT c.relname::text AS "table", c.relispartition AS "isPartition", l.mode, l.pid, l.virtualtransaction AS id, p.gid, a.usename::text AS role,
    a.application_name = $2 AS "isSink", a.application_name AS application, a.state,
    extract(epoch FROM clock_timestamp() - a.xact_start)::float8 AS "ageS"
  FROM pg_locks AS l JOIN pg_class AS c ON c.oid = l.relation
  LEFT JOIN pg_stat_activity AS a ON a.pid = l.pid
  LEFT JOIN pg_prepared_xacts AS p ON l.pid IS NULL AND p.transaction::text = split_part(l.virtualtransaction, '/', 2)
  WHERE l.locktype = 'relation' AND l.granted AND l.pid IS DISTINCT FROM pg_backend_pid()
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.relation IN (SELECT to_regclass(quote_ident(name)) FROM unnest($1::text[]) AS name UNION SELECT oid FROM tree)
    AND (l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
      OR c.relname = 'sink_offsets' AND l.mode IN ('RowShareLock', 'RowExclusiveLock'))`

export const WAL = `
  SELECT coalesce((SELECT json_agg(json_build_object('name', slot_name, 'bytes', pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)))
      FROM pg_replication_slots WHERE NOT active AND restart_lsn IS NOT NULL), '[]') AS slots,
    (SELECT last_failed_time > coalesce(last_archived_time, '-infinity') FROM pg_stat_archiver) IS TRUE
      AND current_setting('archive_mode') <> 'off' AS archiving_fails
  WHERE NOT pg_is_in_recovery()`

export const DEAD_LETTERS = `
  SELECT reason, count(*)::int AS count FROM dead_letters WHERE state = 'open' GROUP BY reason ORDER BY 2 DESC, 1`

/** A partitioned table itself has no size. */
export const SIZES = `
  WITH RECURSIVE ${TREE}
  SELECT pg_database_size(current_database())::float8 AS database,
    (SELECT sum(pg_total_relation_size(oid)) FROM tree)::float8 AS events`
