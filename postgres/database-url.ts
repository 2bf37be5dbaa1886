import { ConfigError, parseSettings, secret } from '../platform/env.ts'

export const databaseSettings = {
  DATABASE_URL: secret(
    'PostgreSQL, `postgresql://user:password@host:port/database?sslmode=...`; if unset, the `PG*` variables of libpq, else the database of `npm start`',
  ),
}

/** Unlike in libpq, `require` checks the server's certificate, as `verify-ca` and `verify-full` do; `no-verify` does not. */
const SSL_MODES = ['disable', 'prefer', 'require', 'verify-ca', 'verify-full', 'no-verify']
const LIBPQ_VARIABLES = ['PGHOST', 'PGPORT', 'PGDATABASE', 'PGUSER', 'PGPASSWORD']

/**
 * The connection string that the sink and every command use. An empty string makes the driver read the `PG*` variables.
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
    throw new ConfigError([
      `DATABASE_URL has sslmode=${sslMode}, which must be one of ${SSL_MODES.join(', ')}`,
    ])
  }
  return url
}
