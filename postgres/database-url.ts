import {
  collectProblems,
  ConfigError,
  optionalText,
  parseSettings,
  secret,
  type Setting,
  type Settings,
} from '../platform/env.ts'
import { type ConnectionPlan, planConnection, parametersOf, splitOnce } from './connection-plan.ts'
import { localDatabase, localVariables } from './local-database.ts'

export const databaseSettings = {
  DATABASE_URL: secret(
    'PostgreSQL, `postgresql://user:password@host:port/database?sslmode=...`, with several hosts if need be; if unset, what the `PG*` variables of libpq name if `PGHOST` is among them; else the database of `npm start`, of which `PGPORT`, `PGDATABASE`, `PGUSER` and `PGPASSWORD` each replace their own part',
  ),
  DATABASE_SCHEMA: schemaSetting(
    "Schema of the tables, which `migrate` creates if it is missing; if unset, the role's `search_path` decides, which is usually `public`",
  ),
}

/** The database that the sink and every command use. */
export interface DatabaseTarget {
  /** The connection string; with DATABASE_SCHEMA, it also sets the search_path. What it does not say, `PG*` do. */
  url: string
  /** For messages, without secrets: servers and database, and in brackets the variables that say so. */
  address: string
  /** DATABASE_SCHEMA, for `migrate`, which creates it. */
  schema: string | undefined
  /** Variables that are ignored, a sentence each. */
  warnings: string[]
}

/** @throws {ConfigError} that lists every mistake */
export function databaseTarget(env: NodeJS.ProcessEnv): DatabaseTarget {
  const { values, problems } = parseSettings(databaseSettings, env)
  const { DATABASE_URL, DATABASE_SCHEMA: schema } = values
  const found = collectProblems(problems, () => place(DATABASE_URL, env))
  // Reports mistakes now, not when the sink connects.
  const plan = found && collectProblems(problems, () => planConnection(found.url, env))
  if (problems.length > 0 || found === undefined || plan === undefined) throw new ConfigError(problems)
  return {
    url: schema === undefined ? found.url : withSearchPath(found.url, schema, env),
    address: `${addressOf(plan, env)} (${found.variables.join(', ') || 'the default'})`,
    schema,
    warnings: found.warnings,
  }
}

interface Place {
  url: string
  /** The variables that have named it. */
  variables: string[]
  warnings: string[]
}

/** @throws {ConfigError} */
function place(url: string | undefined, env: NodeJS.ProcessEnv): Place {
  if (url !== undefined)
    return { url, variables: [env.DATABASE_URL ? 'DATABASE_URL' : 'DATABASE_URL_FILE'], warnings: [] }
  if (!env.PGHOST) {
    const { values, warnings } = read(localVariables, env)
    return { ...localDatabase(values), warnings }
  }
  const password = read({ PGPASSWORD: localVariables.PGPASSWORD }, env).values.PGPASSWORD
  return {
    // The driver reads all of PG* but PGPASSWORD_FILE.
    url:
      env.PGPASSWORD || password === undefined
        ? ''
        : `postgresql://?password=${encodeURIComponent(password)}`,
    variables: ['PGHOST', 'PGPORT', 'PGDATABASE', 'PGUSER'].filter((name) => env[name]),
    warnings: [],
  }
}

function read<S extends Settings>(settings: S, env: NodeJS.ProcessEnv) {
  const { values, problems, warnings } = parseSettings(settings, env)
  if (problems.length > 0) throw new ConfigError(problems)
  return { values, warnings }
}

function addressOf({ hosts }: ConnectionPlan, env: NodeJS.ProcessEnv): string {
  const database = hosts[0]?.ways[0]?.database ?? env.PGDATABASE
  return `${hosts.map(({ name }) => name).join(', ')}${database ? `/${database}` : ''}`
}

/**
 * Only this schema is searched: with another one after it, a missing table would be taken from there. It is set when the
 * session starts, because statements outside transactions need it too; a pooler in transaction mode refuses that.
 */
function withSearchPath(url: string, schema: string, env: NodeJS.ProcessEnv): string {
  const [address, query] = splitOnce(url || 'postgresql://', '?')
  const parameters = parametersOf(query)
  const options = parameters.get('options') ?? env.PGOPTIONS ?? ''
  parameters.set('options', `${options} -c search_path="${schema}"`.trim())
  return `${address}?${parameters.toString().replaceAll('+', '%20')}`
}

function schemaSetting(doc: string): Setting<string | undefined> {
  const setting = optionalText(doc)
  const parse = (value: string | undefined): string | undefined => {
    if (value === undefined || (/^[a-z_][a-z0-9_]{0,62}$/i.test(value) && !/^pg_/i.test(value))) return value
    throw new Error(
      `must be letters, digits and underscores, at most 63, and begin with neither a digit nor pg_, not "${value}"`,
    )
  }
  return { ...setting, parse }
}
