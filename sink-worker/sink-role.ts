import { escapeIdentifier, escapeLiteral } from 'pg'

/** A role of PostgreSQL under which sink workers log in. */
export interface SinkRole {
  name: string
  password: string
}

/** What a sink worker needs in PostgreSQL, and no more. `npm run sink -- adopt` also takes UPDATE on dead_letters. */
export function sinkGrants(role: string, database: string): string[] {
  const to = escapeIdentifier(role)
  return [
    `GRANT SELECT, INSERT ON events TO ${to}`,
    `GRANT SELECT, INSERT ON dead_letters TO ${to}`,
    `GRANT SELECT, INSERT, UPDATE ON sink_offsets TO ${to}`,
    `GRANT TEMPORARY ON DATABASE ${escapeIdentifier(database)} TO ${to}`,
  ]
}

/** Makes the role or, when it exists, gives it this password. */
export function roleStatement({ name, password }: SinkRole, exists: boolean): string {
  return `${exists ? 'ALTER' : 'CREATE'} ROLE ${escapeIdentifier(name)} LOGIN PASSWORD ${escapeLiteral(password)}`
}
