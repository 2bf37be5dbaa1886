import { sqlstateOf } from '../sink-worker/outage/sqlstate.ts'

/** What an operator can do about an error of maintenance, by SQLSTATE. */
const REMEDIES: Record<string, string> = {
  '25P04':
    'it took too long, so it was rolled back; the next run tries again. If the role has a transaction_timeout, set it to 0 (ALTER ROLE ... SET transaction_timeout = 0)',
  '42501': 'run "npx firehose maintain" as the owner of "events"',
  '57014':
    'it was cancelled. If the role has a statement_timeout, set it to 0 (ALTER ROLE ... SET statement_timeout = 0)',
}

/** @param what was not done, as the beginning of a sentence */
export function failureText(what: string, error: unknown): string {
  const { message = '', code } = error as { message?: string; code?: string }
  const remedy = remedyOf(error)
  return `${what}: ${message || String(error)}${code === undefined ? '' : ` (${code})`}${remedy === undefined ? '' : `: ${remedy}`}.`
}

/** Something that is not done as long as a person has not changed something; the message says what, without a full stop. */
export class RefusedError extends Error {}

/** Whether we, or PostgreSQL, refused something, and the connection is still there. */
export function isRefusal(error: unknown): boolean {
  if (error instanceof RefusedError) return true
  return sqlstateOf(error) !== undefined && (error as { severity?: string }).severity === 'ERROR'
}

/** Undefined if maintenance has none of its own. */
export function remedyOf(error: unknown): string | undefined {
  return REMEDIES[sqlstateOf(error) ?? '']
}
