import pg from 'pg'
import { FirehoseError } from '../platform/errors.ts'
import type { Database } from './database.ts'
import { READ_NEEDS } from './needs-sql.ts'

/** A privilege that a role lacks: `GRANT <privilege> ON <on><object>`. */
export interface Lacking {
  /** As SQL. */
  role: string
  on: '' | 'SCHEMA ' | 'SEQUENCE ' | 'DATABASE '
  /** As SQL. */
  object: string
  privilege: string
}

/** What a database is like for the sinks of some roles. */
export interface NeedFacts {
  /** The role that looked, as SQL. */
  role: string
  /** The sink's tables, with pg_class.relkind; null if a table does not exist, or is not seen. */
  tables: { name: string; kind: string | null }[]
  /** Whether `migrate` was here. */
  isMigrated: boolean
  /** Schemas with a `sink_offsets` that is not seen: not in the search_path, or without the right to use the schema. */
  elsewhere: { schema: string; isSearched: boolean }[]
  /** Tables of which row-level security hides rows from a role. */
  hidden: { role: string; table: string }[]
  lacking: Lacking[]
  /** Rules of `events` on INSERT and UPDATE. */
  rules: string[]
  /** Unique constraints of `events` that are deferrable. */
  deferrable: string[]
}

/** Something that keeps a sink from storing. */
export interface Obstacle {
  about: 'tables' | 'rights'
  /** Without a full stop. */
  text: string
  remedy: string
  /** Only a duplicate runs into it; other rows are stored. */
  onlyDuplicates?: true
}

const KINDS: Readonly<Record<string, string>> = {
  v: 'a view',
  m: 'a materialized view',
  f: 'a foreign table',
  S: 'a sequence',
  c: 'a type',
}

/** All that keeps the sinks from storing, the worst first. Pure. */
export function obstaclesOf(facts: NeedFacts): Obstacle[] {
  const missing = facts.tables.filter(({ kind }) => kind === null).map(({ name }) => name)
  if (missing.length > 0) return [missingTables(missing, facts)]
  return [
    ...facts.tables.flatMap(wrongKind),
    ...facts.hidden.map(rowSecurity),
    ...lackingByRole(facts.lacking),
    ...onlyDuplicates(facts),
  ]
}

function missingTables(missing: readonly string[], { role, isMigrated, elsewhere }: NeedFacts): Obstacle {
  const names = missing.map((name) => `"${name}"`).join(', ')
  const there = elsewhere.find(({ isSearched }) => isSearched) ?? elsewhere[0]
  const about = 'tables'
  if (there === undefined) {
    return {
      about,
      text: `the table ${names} does not exist`,
      remedy: isMigrated
        ? 'rename it back, or restore it from a backup'
        : 'run "npx firehose migrate", or set DATABASE_SCHEMA to the schema that has it',
    }
  }
  const schema = pg.escapeIdentifier(there.schema)
  if (there.isSearched) {
    return {
      about: 'rights',
      text: `the role ${role} cannot see the tables in the schema ${schema}`,
      remedy: `GRANT USAGE ON SCHEMA ${schema} TO ${role}; ("npx firehose migrate --sink-role ${role}" does this)`,
    }
  }
  return {
    about,
    text: `the table ${names} is in the schema ${schema}, which is not in the search_path of the role ${role}`,
    remedy: `set DATABASE_SCHEMA=${there.schema}, or run "npx firehose migrate" to create others`,
  }
}

function wrongKind({ name, kind }: NeedFacts['tables'][number]): Obstacle[] {
  if (kind === 'r' || (kind === 'p' && name === 'events')) return []
  const what = KINDS[kind ?? ''] ?? 'a partitioned table'
  return [
    {
      about: 'tables',
      text: `"${name}" is ${what}, not a table of its own, so its rows and the offsets cannot be written together`,
      remedy: 'rename it, and rename the table of Firehose back; or set DATABASE_SCHEMA to another schema',
    },
  ]
}

function rowSecurity({ role, table }: NeedFacts['hidden'][number]): Obstacle {
  return {
    about: 'rights',
    text: `row-level security hides rows of "${table}" from the role ${role}, which COPY and the offsets do not permit`,
    remedy: `ALTER TABLE ${table} DISABLE ROW LEVEL SECURITY; or, as a superuser, ALTER ROLE ${role} BYPASSRLS;`,
  }
}

function lackingByRole(lacking: readonly Lacking[]): Obstacle[] {
  return [...Map.groupBy(lacking, ({ role }) => role)].map(([role, rights]) => ({
    about: 'rights',
    text: `the role ${role} lacks ${rights.map(({ privilege, on, object }) => `${privilege} on ${on.toLowerCase()}${object}`).join(', ')}`,
    remedy: `${grants(role, rights).join(' ')} ("npx firehose migrate --sink-role ${role}" does this)`,
  }))
}

/** One statement for each object. */
export function grants(role: string, rights: readonly Lacking[]): string[] {
  return [...Map.groupBy(rights, ({ on, object }) => on + object)].map(
    ([object, some]) => `GRANT ${some.map(({ privilege }) => privilege).join(', ')} ON ${object} TO ${role};`,
  )
}

/** ON CONFLICT DO NOTHING, by which the staged path recognises duplicates, supports neither of these. */
function onlyDuplicates({ rules, deferrable }: NeedFacts): Obstacle[] {
  return [
    ...rules.map(
      (rule): Obstacle => ({
        about: 'tables',
        text: `the rule ${rule} of "events" keeps the sink from comparing a duplicate`,
        remedy: `DROP RULE ${rule} ON events; and use a trigger instead`,
        onlyDuplicates: true,
      }),
    ),
    ...deferrable.map(
      (constraint): Obstacle => ({
        about: 'tables',
        text: `the constraint ${constraint} of "events" is deferrable, which keeps the sink from comparing a duplicate`,
        remedy: `ALTER TABLE events DROP CONSTRAINT ${constraint}; and add it again as NOT DEFERRABLE`,
        onlyDuplicates: true,
      }),
    ),
  ]
}

/** Reads the facts. @param roles of the sinks; undefined for the current role */
export async function readNeeds(db: Pick<Database, 'query'>, roles?: readonly string[]): Promise<NeedFacts> {
  const { rows } = await db.query<{ facts: NeedFacts }>(READ_NEEDS, [roles ?? null])
  if (rows[0] === undefined) throw new Error('PostgreSQL returned no row')
  return rows[0].facts
}

/** The database is not as the sink needs it, until a person changes it. Nothing was written. */
class ObstacleError extends FirehoseError {
  constructor({ text, remedy }: Obstacle) {
    super(`${text}: ${remedy}`, { code: 'OBSTACLE', retryable: true, needsPerson: true })
  }
}

/** @throws {ObstacleError} naming the first obstacle, with its remedy */
export async function checkNeeds(db: Pick<Database, 'query'>): Promise<void> {
  const first = obstaclesOf(await readNeeds(db)).find((obstacle) => obstacle.onlyDuplicates === undefined)
  if (first !== undefined) throw new ObstacleError(first)
}
