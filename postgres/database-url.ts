import { optionalText, readSettings, secret, type Setting } from '../platform/env.ts'
import { planConnection } from './connection-plan.ts'

export const databaseSettings = {
  DATABASE_URL: secret(
    'PostgreSQL, `postgresql://user:password@host:port/database?sslmode=...`, with several hosts if need be; if unset, the `PG*` variables of libpq, else the database of `npm start`',
  ),
  DATABASE_SCHEMA: schemaSetting(
    "Schema of the tables, which `migrate` creates if it is missing; if unset, the role's `search_path` decides, which mostly means `public`",
  ),
}

const LIBPQ_VARIABLES = ['PGHOST', 'PGPORT', 'PGDATABASE', 'PGUSER', 'PGPASSWORD']

/**
 * The connection string that the sink and every command use; with DATABASE_SCHEMA, it also sets the search_path. What it
 * does not say, the `PG*` variables do.
 *
 * @throws {ConfigError}
 */
export function databaseUrl(env: NodeJS.ProcessEnv): string {
  const { DATABASE_URL, DATABASE_SCHEMA } = readSettings(databaseSettings, env)
  const url = addressOf(DATABASE_URL, env)
  planConnection(url, env) // reports mistakes now, not when the sink connects
  return DATABASE_SCHEMA === undefined ? url : withSearchPath(url, DATABASE_SCHEMA, env)
}

/** DATABASE_SCHEMA, for `migrate`, which creates it. @throws {ConfigError} */
export function databaseSchema(env: NodeJS.ProcessEnv): string | undefined {
  return readSettings(databaseSettings, env).DATABASE_SCHEMA
}

function addressOf(url: string | undefined, env: NodeJS.ProcessEnv): string {
  if (url !== undefined) return url
  if (LIBPQ_VARIABLES.some((name) => (env[name] ?? '') !== '')) return ''
  return `postgresql://firehose:firehose@127.0.0.1:${env.PG_PORT || '15432'}/firehose`
}

/**
 * Only this schema is searched: with another one after it, a missing table would be taken from there. It is set when the
 * session starts, because statements outside transactions need it too; a pooler in transaction mode refuses that.
 */
function withSearchPath(url: string, schema: string, env: NodeJS.ProcessEnv): string {
  const [address = '', query = ''] = (url || 'postgresql://').split('?', 2)
  const parameters = new URLSearchParams(query)
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
