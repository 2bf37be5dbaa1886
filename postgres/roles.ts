import { escapeIdentifier, escapeLiteral } from 'pg'

/** A role of PostgreSQL under which sink workers log in. */
export interface SinkRole {
  name: string
  password: string
}

/** What a sink worker does with each table. `npm run sink -- adopt` also takes UPDATE on dead_letters. */
export const SINK_TABLE_PRIVILEGES = {
  events: ['SELECT', 'INSERT'],
  dead_letters: ['SELECT', 'INSERT'],
  sink_offsets: ['SELECT', 'INSERT', 'UPDATE'],
}

/** What a sink worker needs in PostgreSQL, and no more. */
export function sinkGrants(role: string, database: string): string[] {
  const to = escapeIdentifier(role)
  return [
    ...Object.entries(SINK_TABLE_PRIVILEGES).map(
      ([table, privileges]) => `GRANT ${privileges.join(', ')} ON ${table} TO ${to}`,
    ),
    `GRANT TEMPORARY ON DATABASE ${escapeIdentifier(database)} TO ${to}`,
  ]
}

/** Makes the role or, when it exists, gives it this password. */
export function roleStatement({ name, password }: SinkRole, exists: boolean): string {
  return `${exists ? 'ALTER' : 'CREATE'} ROLE ${escapeIdentifier(name)} LOGIN PASSWORD ${escapeLiteral(password)}`
}
