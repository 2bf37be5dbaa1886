import { escapeIdentifier, escapeLiteral } from 'pg'

/** The PostgreSQL role that sink workers log in as. */
export interface SinkRole {
  name: string
  password: string
}

/** The privileges that a sink worker needs on each table. `npx firehose adopt` also needs UPDATE on dead_letters. */
export const SINK_TABLE_PRIVILEGES = {
  events: ['SELECT', 'INSERT'],
  dead_letters: ['SELECT', 'INSERT'],
  sink_offsets: ['SELECT', 'INSERT', 'UPDATE'],
}

/** Where the sink's tables are. */
export interface Place {
  database: string
  schema: string
  /** The sequences that defaults of `events` use, as SQL: those of columns that the user added. */
  sequences: readonly string[]
}

/** The GRANT statements for a sink worker: exactly what it needs. */
export function sinkGrants(role: string, { database, schema, sequences }: Place): string[] {
  const to = escapeIdentifier(role)
  return [
    `GRANT USAGE ON SCHEMA ${escapeIdentifier(schema)} TO ${to}`,
    ...Object.entries(SINK_TABLE_PRIVILEGES).map(
      ([table, privileges]) => `GRANT ${privileges.join(', ')} ON ${table} TO ${to}`,
    ),
    ...sequences.map((sequence) => `GRANT USAGE ON SEQUENCE ${sequence} TO ${to}`),
    `GRANT TEMPORARY ON DATABASE ${escapeIdentifier(database)} TO ${to}`,
  ]
}

/** The statement that creates the role or, if it exists, sets its password. */
export function roleStatement({ name, password }: SinkRole, exists: boolean): string {
  return `${exists ? 'ALTER' : 'CREATE'} ROLE ${escapeIdentifier(name)} LOGIN PASSWORD ${escapeLiteral(password)}`
}
