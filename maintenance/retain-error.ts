import { sqlstateOf } from '../sink-worker/outage/sqlstate.ts'

/** Something that retention cannot delete as long as a person has not changed something; the message says what. */
export class CannotRetainError extends Error {}

/** What a person can do about an error of PostgreSQL, by SQLSTATE. */
const REASONS: Readonly<Record<string, string>> = {
  '55P03': 'another session has it locked, perhaps a VACUUM',
  '57014': 'it took too long',
}

/**
 * Why something was not deleted, for people, without a full stop; undefined if the error ends the run: the connection is
 * gone, or the error is not PostgreSQL's. Pure.
 */
export function reasonOf(error: unknown): string | undefined {
  if (error instanceof CannotRetainError) return error.message
  const code = sqlstateOf(error)
  const { message = '', severity, detail } = error as { message?: string; severity?: string; detail?: string }
  if (code === undefined || severity !== 'ERROR') return undefined
  // Only here, because elsewhere the detail may have values: it names what depends on the table.
  if (code === '2BP01' && detail !== undefined) return detail.replaceAll('\n', '; ')
  return REASONS[code] ?? `${message} (${code})`
}
