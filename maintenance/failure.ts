import { InvariantError } from '../platform/errors.ts'
import { describeError, sqlstateOf } from '../sink-worker/outage/sqlstate.ts'

/* Errors of maintenance: which kinds there are, and what is said of them. */

const PROGRAMMING = [InvariantError, TypeError, RangeError, ReferenceError, SyntaxError]

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

/** Whether an error that ended a run is a mistake in Firehose: another attempt would hide it. */
export function isBug(error: unknown): boolean {
  return PROGRAMMING.some((kind) => error instanceof kind)
}

/** Why a run ended early, in one line for people, with the remedy if there is one. */
export function describeRunError(error: unknown): string {
  const { message = '' } = error as { message?: string }
  const remedy = remedyOf(error)
  return remedy === undefined ? describeError(error) : `${message}: ${remedy}`
}

/** Undefined if maintenance has none of its own. */
function remedyOf(error: unknown): string | undefined {
  return REMEDIES[sqlstateOf(error) ?? '']
}
