import { readdir, readFile } from 'node:fs/promises'
import pg from 'pg'
import { roleStatement, sinkGrants, type SinkRole } from './roles.ts'

const MIGRATIONS = new URL('./migrations/', import.meta.url)
/** An arbitrary fixed number: all migrators must use the same. */
const ADVISORY_LOCK_KEY = 7_311_051_971

/** Longer than another migrator needs. */
const LOCK_TIMEOUT_MS = 60_000

/**
 * Applies the numbered SQL files of `migrations/` that are not applied yet, in one transaction under a
 * transaction-level advisory lock (so it also works through PgBouncer). Any number of migrators may run at the same time.
 * If `sinkRole` is given, also creates or updates that role and grants it what a sink worker needs.
 *
 * @returns the names of the migrations that were applied, in order
 * @throws the driver's error if the database cannot be reached, or an error that names the migration that failed; all is
 *   rolled back then
 */
export async function migrate(connectionString: string, sinkRole?: SinkRole): Promise<string[]> {
  const client = new pg.Client({ connectionString, application_name: 'firehose-migrate' })
  await client.connect()
  try {
    await client.query(`BEGIN; SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`)
    await client.query('SELECT pg_advisory_xact_lock($1)', [ADVISORY_LOCK_KEY])
    await client.query(
      'CREATE TABLE IF NOT EXISTS firehose_migrations (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())',
    )
    const { rows } = await client.query<{ name: string }>('SELECT name FROM firehose_migrations')
    const seen = new Set(rows.map((row) => row.name))
    const missing = (await listMigrations()).filter((name) => !seen.has(name))
    for (const name of missing) await applyMigration(client, name)
    if (sinkRole) await grantSinkRole(client, sinkRole)
    await client.query('COMMIT')
    return missing
  } finally {
    await client.end() // after an error, PostgreSQL rolls back
  }
}

async function grantSinkRole(client: pg.Client, role: SinkRole): Promise<void> {
  const { rows } = await client.query<{ database: string; exists: boolean }>(
    'SELECT current_database() AS database, EXISTS (SELECT FROM pg_roles WHERE rolname = $1)',
    [role.name],
  )
  const [{ database, exists } = { database: '', exists: false }] = rows
  await client.query(roleStatement(role, exists))
  for (const grant of sinkGrants(role.name, database)) await client.query(grant)
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
    throw new Error(`migration ${name} failed: ${(error as Error).message}`, { cause: error })
  }
}
