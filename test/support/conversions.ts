import { readFileSync } from 'node:fs'
import type { LineKind } from '../../maintenance/convert/conversion.ts'
import { convert, type Outcome } from '../../maintenance/convert/convert.ts'
import { listMigrations, migrate } from '../../postgres/migrate.ts'
import { ask } from '../../tools/stack/ask.ts'
import { createDatabase } from './databases.ts'
import { KEEP_ALL } from './maintained.ts'

/* Installations from before the partitions, and their conversion in this process. */

interface Line {
  kind: LineKind
  text: string
}

interface Converted {
  outcome: Outcome
  /** The texts of a kind. */
  done: string[]
  refused: string[]
}

interface ConvertHow {
  dryRun?: boolean
  unit?: 'day' | 'hour'
  longestPauseS?: number
  nowMs?: number
  /** Ends the conversion when this returns true. */
  until?: (line: Line) => boolean
}

/** Runs a conversion. @throws as convert() */
export async function convertAt(url: string, how: ConvertHow = {}): Promise<Converted> {
  const lines: Line[] = []
  const { dryRun = false, unit = 'day', longestPauseS, nowMs, until } = how
  const ending = new AbortController()
  const outcome = await convert({
    connectionString: url,
    policy: { ...KEEP_ALL, unit },
    dryRun,
    longestPauseS,
    nowMs,
    report: (kind, text) => {
      lines.push({ kind, text })
      if (until?.({ kind, text }) === true) ending.abort(new Error('ended here'))
    },
    signal: ending.signal,
  })
  const texts = (wanted: Line['kind']) => lines.filter(({ kind }) => kind === wanted).map(({ text }) => text)
  return { outcome, done: texts('done'), refused: texts('refused') }
}

/** A database whose `events` is one table. @param how what follows CREATE DATABASE and the name */
export async function plainDatabase(server: string, name: string, how = ''): Promise<string> {
  const url = await createDatabase(server, name, how)
  if (how === '') await migrate(url, { partitioning: 'none' })
  return url
}

/** A database with the tables of the first migrations and their rows, migrated to the present. */
export async function oldDatabase(server: string, name: string, rows: number): Promise<string> {
  const url = await createDatabase(server, name)
  await ask(
    url,
    'CREATE TABLE firehose_migrations (name text PRIMARY KEY, applied_at timestamptz DEFAULT now())',
  )
  for (const file of (await listMigrations()).filter((each) => each < '005')) {
    await ask(url, readFileSync(new URL(`../../postgres/migrations/${file}`, import.meta.url), 'utf8'))
    await ask(url, `INSERT INTO firehose_migrations (name) VALUES ('${file}')`)
  }
  await addRows(url, rows)
  await migrate(url)
  return url
}

/** Adds rows with random ids, none of which is of our time. */
export async function addRows(url: string, rows: number, table = 'events'): Promise<void> {
  await ask(
    url,
    `INSERT INTO ${table} (event_id, user_id, "timestamp", metadata, received_at)
     SELECT overlay(gen_random_uuid()::text placing 'f' from 1)::uuid, 1 + n % 10, now() - n * interval '1 minute', jsonb_build_object('page', n), now() FROM generate_series(1, ${rows}) AS n`,
  )
}
