import { escapeLiteral } from 'pg'

/** What a line that begins with a backslash asks for, as in psql. */
export type Backslash =
  | { kind: 'quit' | 'expanded' }
  | { kind: 'say'; text: string; isKnown: boolean }
  /** Several statements; the result of the first one is empty if there is no such relation. */
  | { kind: 'describe'; name: string; sql: string }
  | { kind: 'list'; sql: string }

const HELP = `\\d         tables, views, sequences and indexes      \\d NAME    columns, indexes, constraints and triggers of one
\\dt        tables                                    \\x         records from top to bottom, or as a table again
\\?         this help                                 \\q         quit (also Ctrl-D)
A statement ends with ; and Ctrl-C cancels the one that runs.`

/** Reads a line that begins with a backslash. Pure. */
export function readBackslash(line: string): Backslash {
  const [, command = '', argument = ''] = /^\s*\\(\S*?)\+?(?:\s+(.*?))?\s*;?\s*$/.exec(line) ?? []
  switch (command) {
    case 'q':
      return { kind: 'quit' }
    case 'x':
      return { kind: 'expanded' }
    case '?':
    case 'h':
      return { kind: 'say', text: HELP, isKnown: true }
    case 'd':
      if (argument !== '') return { kind: 'describe', name: argument, sql: describeSql(argument) }
      return { kind: 'list', sql: listSql("'r', 'p', 'v', 'm', 'S', 'f'") }
    case 'dt':
      return { kind: 'list', sql: listSql("'r', 'p'") }
    default:
      return {
        kind: 'say',
        text: `There is no command \\${command} here: \\? lists those that there are.`,
        isKnown: false,
      }
  }
}

function listSql(kinds: string): string {
  return `SELECT n.nspname AS schema, c.relname AS name,
      CASE c.relkind WHEN 'r' THEN 'table' WHEN 'p' THEN 'partitioned table' WHEN 'v' THEN 'view'
        WHEN 'm' THEN 'materialized view' WHEN 'S' THEN 'sequence' ELSE 'foreign table' END AS type,
      pg_get_userbyid(c.relowner) AS owner
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN (${kinds}) AND n.nspname NOT IN ('pg_catalog', 'information_schema')
      AND n.nspname !~ '^pg_toast' AND pg_table_is_visible(c.oid)
    ORDER BY 1, 2`
}

function describeSql(name: string): string {
  const relation = `to_regclass(${escapeLiteral(name)})`
  return `SELECT a.attname AS column, format_type(a.atttypid, a.atttypmod) AS type,
      CASE WHEN a.attnotnull THEN 'not null' ELSE '' END AS nullable,
      coalesce(pg_get_expr(d.adbin, d.adrelid), '') AS default
    FROM pg_attribute a LEFT JOIN pg_attrdef d ON (d.adrelid, d.adnum) = (a.attrelid, a.attnum)
    WHERE a.attrelid = ${relation} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum;
    SELECT pg_get_indexdef(indexrelid) AS indexes FROM pg_index WHERE indrelid = ${relation} ORDER BY 1;
    SELECT conname AS constraint, pg_get_constraintdef(oid) AS definition FROM pg_constraint
    WHERE conrelid = ${relation} ORDER BY 1;
    SELECT pg_get_triggerdef(oid) AS triggers FROM pg_trigger
    WHERE tgrelid = ${relation} AND NOT tgisinternal ORDER BY 1`
}
