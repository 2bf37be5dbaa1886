import { readdir, readFile } from 'node:fs/promises'
import pg from 'pg'
import { USER_ID_TYPES, type UserIdType } from '../event/kinds.ts'
import { connect } from './connect.ts'
import { EVENT_SEQUENCES } from './needs-sql.ts'
import { partitionNewTable } from './partitions/create-tree.ts'
import type { Partitioning, UserIndexTime } from './partitions/settings.ts'
import { checkSupported } from './supported.ts'
import { roleStatement, sinkGrants, type SinkRole } from './roles.ts'
import { changeUserId } from './user-id-column.ts'

/** The migration that creates the table, with a user_id of bigint, and not partitioned. */
const CREATES_EVENTS = '001_events.sql'
const MIGRATIONS = new URL('./migrations/', import.meta.url)
/** An arbitrary fixed number: all migrators must use the same. */
const ADVISORY_LOCK_KEY = 7_311_051_971

/** Longer than another migrator needs. */
const LOCK_TIMEOUT_MS = 60_000

export interface MigrateOptions {
  /** A role to create or update, which then has what a sink worker needs. */
  sinkRole?: SinkRole | undefined
  /** The schema that the connection string searches (DATABASE_SCHEMA), created if it is missing. */
  schema?: string | undefined
  /** The type that the column user_id gets when the table is created, and must have afterwards. Default bigint. */
  userIdType?: UserIdType | undefined
  /** The partitions of a table that is created. Default day. */
  partitioning?: Partitioning | undefined
  /** When the user indexes of its partitions are built. Default immediate. */
  userIndex?: UserIndexTime | undefined
}

/** Settings of the role or the database that would break the migrations; all of them are of the transaction only. */
const BEGIN = `BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}; SET LOCAL statement_timeout = 0`

/**
 * Applies the numbered SQL files of `migrations/` that are not applied yet, in one transaction under a
 * transaction-level advisory lock (so it also works through PgBouncer). Any number of migrators may run at the same time.
 *
 * @returns the names of the migrations that were applied, in order
 * @throws an error that says what is wrong and what to do, or the driver's error; all is rolled back then
 */
export async function migrate(
  connectionString: string,
  {
    sinkRole,
    schema,
    userIdType = 'bigint',
    partitioning = 'day',
    userIndex = 'immediate',
  }: MigrateOptions = {},
): Promise<string[]> {
  const client = await connect(connectionString, () => ({ application_name: 'firehose-migrate' }))
  try {
    await checkSupported(client)
    await client.query(BEGIN)
    await client.query('SELECT pg_advisory_xact_lock($1)', [ADVISORY_LOCK_KEY])
    await withRemedy(async () => await prepareSchema(client, schema))
    const { rows } = await client.query<{ name: string }>('SELECT name FROM firehose_migrations')
    const seen = new Set(rows.map((row) => row.name))
    const missing = (await listMigrations()).filter((name) => !seen.has(name))
    for (const name of missing) await withRemedy(async () => await applyMigration(client, name))
    const isNew = missing.includes(CREATES_EVENTS)
    await withRemedy(async () => await setUserIdType(client, userIdType, isNew))
    if (isNew && partitioning !== 'none')
      await withRemedy(async () => await partitionNewTable(client, partitioning, userIndex, Date.now()))
    if (sinkRole) await withRemedy(async () => await grantSinkRole(client, sinkRole))
    await client.query('COMMIT')
    return missing
  } finally {
    await client.end() // after an error, PostgreSQL rolls back
  }
}

/** Creates the schema, if one was given, and the table of the migrations. */
async function prepareSchema(client: pg.Client, schema: string | undefined): Promise<void> {
  if (schema !== undefined) {
    // CREATE SCHEMA IF NOT EXISTS needs the right to create one even if it exists.
    const { rowCount } = await client.query('SELECT FROM pg_namespace WHERE nspname = $1', [schema])
    if (rowCount === 0) await client.query(`CREATE SCHEMA ${pg.escapeIdentifier(schema)}`)
  }
  const { rows } = await client.query<{ current: string | null; others: string[] }>(MIGRATED_SCHEMAS)
  const [{ current, others } = { current: null, others: [] }] = rows
  if (schema === undefined && others.length > 0 && current !== null && !others.includes(current)) {
    throw new Error(
      `Firehose's tables are in the schema ${others.join(', ')}, but the search_path leads to ${current}: ` +
        `set DATABASE_SCHEMA=${others[0]} to use them, or DATABASE_SCHEMA=${current} to create others there`,
    )
  }
  await client.query(
    'CREATE TABLE IF NOT EXISTS firehose_migrations (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())',
  )
}

/** Where tables are created, and the schemas that have the table of the migrations. */
const MIGRATED_SCHEMAS = `
  SELECT current_schema()::text AS current,
    ARRAY(SELECT nspname::text FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace
      WHERE relname = 'firehose_migrations' AND relkind = 'r' ORDER BY 1) AS others`

/** Gives a new table the type of user_id. @throws if an older one has another type */
async function setUserIdType(client: pg.Client, wanted: UserIdType, isNew: boolean): Promise<void> {
  const { rows } = await client.query<{ type: string }>(USER_ID_TYPE)
  const type = rows[0]?.type
  if (type === wanted) return
  const change = changeUserId(wanted)
  if (isNew) {
    await client.query(change)
    return
  }
  const isKnown = USER_ID_TYPES.some((known) => known === type)
  const remedies = [
    ...(isKnown ? [`set USER_ID_TYPE=${type} for migrate and all APIs`] : []),
    ...(!isKnown || wanted === 'text' ? [`change the column (docs/OPERATIONS.md): ${change};`] : []),
  ]
  throw new Error(
    `USER_ID_TYPE is ${wanted}, but the column user_id of "events" is ${type}: ${remedies.join(', or ')}`,
  )
}

const USER_ID_TYPE = `
  SELECT format_type(atttypid, atttypmod) AS type FROM pg_attribute
  WHERE attrelid = 'events'::regclass AND attname = 'user_id' AND NOT attisdropped`

async function grantSinkRole(client: pg.Client, role: SinkRole): Promise<void> {
  const { rows } = await client.query<{ database: string; schema: string; exists: boolean }>(
    `SELECT current_database() AS database, EXISTS (SELECT FROM pg_roles WHERE rolname = $1),
       (SELECT nspname::text FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = relnamespace
        WHERE c.oid = 'events'::regclass) AS schema`,
    [role.name],
  )
  const [{ database, schema, exists } = { database: '', schema: '', exists: false }] = rows
  const sequences = (await client.query<{ sequence: string }>(EVENT_SEQUENCES)).rows
  await client.query(roleStatement(role, exists))
  const place = { database, schema, sequences: sequences.map(({ sequence }) => sequence) }
  for (const grant of sinkGrants(role.name, place)) await client.query(grant)
}

/** What to do about an error, by SQLSTATE. */
const REMEDIES: Record<string, string> = {
  '25006': 'point DATABASE_URL at the primary, or set default_transaction_read_only to off for this role',
  '3F000': 'create a schema of the search_path, or set DATABASE_SCHEMA (migrate creates that schema)',
  '42501':
    'run migrate as the owner of the database (with --sink-role, also with CREATEROLE); if it may not create tables in this schema, set DATABASE_SCHEMA to one that it owns or may create',
  '42701':
    'the column is yours, but Firehose now fills one of this name: rename it (ALTER TABLE events RENAME COLUMN ... TO ...), then run migrate again',
  '42710': "it is not Firehose's: set DATABASE_SCHEMA=firehose (migrate creates that schema), or rename it",
  '42809': 'rename the table of Firehose back to events, then run migrate again',
  '42P16':
    'an event may have no user_id, so the key must be event_id alone (ALTER TABLE events DROP CONSTRAINT ..., ADD PRIMARY KEY (event_id);), then run migrate again',
  '42P07': "it is not Firehose's: set DATABASE_SCHEMA=firehose (migrate creates that schema), or rename it",
}

async function withRemedy(work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    const remedy = REMEDIES[(error as { code?: string }).code ?? '']
    if (remedy === undefined) throw error
    throw new Error(`${(error as Error).message}: ${remedy}`, { cause: error })
  }
}

/** The names of all migrations, in order. */
export async function listMigrations(): Promise<string[]> {
  return (await readdir(MIGRATIONS)).filter((name) => /^\d{3}_\w+\.sql$/.test(name)).toSorted()
}

async function applyMigration(client: pg.Client, name: string): Promise<void> {
  const sql = await readFile(new URL(name, MIGRATIONS), 'utf8')
  try {
    await client.query(sql)
    await client.query('INSERT INTO firehose_migrations (name) VALUES ($1)', [name])
  } catch (error) {
    const { message, code } = error as { message: string; code?: string }
    throw Object.assign(new Error(`migration ${name} failed: ${message}`, { cause: error }), { code })
  }
}
