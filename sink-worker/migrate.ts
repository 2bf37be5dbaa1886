import { readdir, readFile } from 'node:fs/promises'
import pg from 'pg'

const MIGRATIONS = new URL('./migrations/', import.meta.url)
/** Any fixed number does: it only keeps two migrators apart. */
const ADVISORY_LOCK_KEY = 7_311_051_971

/**
 * Applies the numbered SQL files of `migrations/` that the database has not seen, each in a transaction of its
 * own, all under one advisory lock, so that any number of migrators may start at once.
 *
 * @returns the names of the migrations applied now, in order
 * @throws the driver's error when the database is out of reach or a migration fails (nothing of it is kept)
 */
export async function migrate(connectionString: string): Promise<string[]> {
  const client = new pg.Client({ connectionString, application_name: 'firehose-migrate' })
  await client.connect()
  try {
    await client.query('SELECT pg_advisory_lock($1)', [ADVISORY_LOCK_KEY])
    await client.query(
      'CREATE TABLE IF NOT EXISTS schema_migrations (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())',
    )
    const { rows } = await client.query<{ name: string }>('SELECT name FROM schema_migrations')
    const seen = new Set(rows.map((row) => row.name))
    const applied: string[] = []
    for (const name of await listMigrations()) {
      if (seen.has(name)) continue
      await applyMigration(client, name)
      applied.push(name)
    }
    return applied
  } finally {
    await client.end() // also releases the lock
  }
}

async function listMigrations(): Promise<string[]> {
  return (await readdir(MIGRATIONS)).filter((name) => /^\d{3}_\w+\.sql$/.test(name)).toSorted()
}

async function applyMigration(client: pg.Client, name: string): Promise<void> {
  const sql = await readFile(new URL(name, MIGRATIONS), 'utf8')
  try {
    await client.query('BEGIN')
    await client.query(sql)
    await client.query('INSERT INTO schema_migrations (name) VALUES ($1)', [name])
    await client.query('COMMIT')
  } catch (error) {
    await client.query('ROLLBACK')
    throw new Error(`migration ${name} failed: ${(error as Error).message}`, { cause: error })
  }
}
