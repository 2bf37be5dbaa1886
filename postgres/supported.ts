import pg from 'pg'
import { FirehoseError } from '../platform/errors.ts'
import { CONNECT_TIMEOUT_MS } from './connect.ts'

/** The oldest major version on which all of the SQL works. */
const OLDEST_MAJOR = 17

/** The database cannot hold every event, or does not know our SQL. Nothing was written. */
class UnsupportedDatabaseError extends FirehoseError {
  constructor(sentence: string) {
    super(sentence, { code: 'UNSUPPORTED_DATABASE', retryable: true, needsPerson: true })
  }
}

export interface DatabaseKind {
  /** As in server_version_num: 180001. */
  versionNum: number
  version: string
  encoding: string
  database: string
}

const READ_KIND = `
  SELECT current_setting('server_version_num')::int AS "versionNum", current_setting('server_version') AS version,
    current_setting('server_encoding') AS encoding, current_database() AS database`

/**
 * Why Firehose cannot use this database; undefined if it can. In another encoding than UTF8, PostgreSQL refuses the
 * characters that it lacks, and in SQL_ASCII all escapes of jsonb, so good events would become dead letters. Pure.
 */
export function whyUnsupported(kind: DatabaseKind): { text: string; remedy: string } | undefined {
  if (Math.floor(kind.versionNum / 10_000) < OLDEST_MAJOR) {
    return {
      text: `PostgreSQL ${kind.version} is too old, because Firehose needs version ${OLDEST_MAJOR} or later`,
      remedy: 'upgrade it, or point DATABASE_URL at a newer server',
    }
  }
  if (kind.encoding !== 'UTF8') {
    const other = pg.escapeIdentifier(`${kind.database}_utf8`)
    return {
      text: `the database ${kind.database} has the encoding ${kind.encoding}, which cannot hold every event`,
      remedy: `create one that can (CREATE DATABASE ${other} TEMPLATE template0 ENCODING 'UTF8' LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LOCALE 'C';), point DATABASE_URL at it, and run "npx firehose migrate"`,
    }
  }
  return undefined
}

/** @throws {UnsupportedDatabaseError} */
export async function checkSupported(client: pg.Client): Promise<void> {
  const query = { text: READ_KIND, query_timeout: CONNECT_TIMEOUT_MS }
  const [kind] = (await client.query<DatabaseKind>(query)).rows
  const why = kind && whyUnsupported(kind)
  if (why !== undefined) throw new UnsupportedDatabaseError(`${why.text}: ${why.remedy}`)
}
