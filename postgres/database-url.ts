import { ConfigError, parseSettings, secret } from '../platform/env.ts'

export const databaseSettings = {
  DATABASE_URL: secret(
    'PostgreSQL, `postgresql://user:password@host:port/database?sslmode=...`; without it the `PG*` variables of libpq, else the database of `npm start`',
  ),
}

/** `require` and stricter ones check the server's certificate here, unlike libpq's `require`; `no-verify` does not. */
const SSL_MODES = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full', 'no-verify']
const LIBPQ_VARIABLES = ['PGHOST', 'PGPORT', 'PGDATABASE', 'PGUSER', 'PGPASSWORD']

/**
 * The database that every command and the sink use. An empty text lets the driver read `PG*`.
 *
 * @throws {ConfigError}
 */
export function databaseUrl(env: NodeJS.ProcessEnv): string {
  const url = parseSettings(databaseSettings, env).values.DATABASE_URL
  if (url === undefined) {
    if (LIBPQ_VARIABLES.some((name) => (env[name] ?? '') !== '')) return ''
    return `postgresql://firehose:firehose@127.0.0.1:${env.PG_PORT || '15432'}/firehose`
  }
  if (!URL.canParse(url) || !/^postgres(ql)?:/.test(url)) {
    throw new ConfigError(['DATABASE_URL must be postgresql://user:password@host:port/database'])
  }
  const sslMode = new URL(url).searchParams.get('sslmode')
  if (sslMode !== null && !SSL_MODES.includes(sslMode)) {
    throw new ConfigError([`DATABASE_URL has sslmode=${sslMode}, which is none of ${SSL_MODES.join(', ')}`])
  }
  return url
}
