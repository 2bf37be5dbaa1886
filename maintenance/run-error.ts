import { InvariantError } from '../platform/errors.ts'
import { describeError, sqlstateOf } from '../sink-worker/outage/sqlstate.ts'

const PROGRAMMING = [InvariantError, TypeError, RangeError, ReferenceError, SyntaxError]

/** Whether an error that ended a run is a mistake in Firehose: another attempt would hide it. */
export function isBug(error: unknown): boolean {
  return PROGRAMMING.some((kind) => error instanceof kind)
}

/** Why a run ended early, in one line for people, with the remedy if there is one. */
export function describeRunError(error: unknown): string {
  // insufficient_privilege: the remedy for a sink would be another.
  if (sqlstateOf(error) === '42501')
    return `${(error as Error).message}: run maintain as the owner of the tables, who ran migrate`
  return describeError(error)
}
