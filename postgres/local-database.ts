import { optionalInteger, optionalText, type parseSettings, secret } from '../platform/env.ts'

const MAX_PORT = 65_535

/**
 * What may differ of the database on this machine: libpq's variables; and those that say where it listens (PG_PORT for
 * `npm start`) and which password it has (POSTGRES_PASSWORD for docker compose).
 */
export const localVariables = {
  PGPORT: optionalInteger(1, MAX_PORT, 'Port'),
  PG_PORT: optionalInteger(1, MAX_PORT, 'Port of the database of npm start'),
  PGDATABASE: optionalText('Database'),
  PGUSER: optionalText('Role'),
  PGPASSWORD: secret('Password'),
  POSTGRES_PASSWORD: secret('Password of the database of docker compose'),
}

type Values = ReturnType<typeof parseSettings<typeof localVariables>>['values']

/** The database of `npm start`. */
const LOCAL = {
  host: '127.0.0.1',
  port: 15_432,
  user: 'firehose',
  password: 'firehose',
  database: 'firehose',
}

/** The database on this machine, and the variables that have changed something of it: each only its own part. Pure. */
export function localDatabase(values: Values): { url: string; variables: string[] } {
  const { PGPORT, PG_PORT, PGDATABASE, PGUSER, PGPASSWORD, POSTGRES_PASSWORD } = values
  const [user, password, database] = [
    PGUSER ?? LOCAL.user,
    PGPASSWORD ?? POSTGRES_PASSWORD ?? LOCAL.password,
    PGDATABASE ?? LOCAL.database,
  ].map(encodeURIComponent)
  const names: (keyof Values)[] = [
    PGPORT === undefined ? 'PG_PORT' : 'PGPORT',
    'PGDATABASE',
    'PGUSER',
    PGPASSWORD === undefined ? 'POSTGRES_PASSWORD' : 'PGPASSWORD',
  ]
  return {
    url: `postgresql://${user}:${password}@${LOCAL.host}:${PGPORT ?? PG_PORT ?? LOCAL.port}/${database}`,
    variables: names.filter((name) => values[name] !== undefined),
  }
}
