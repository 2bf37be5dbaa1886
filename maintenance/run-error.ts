import { InvariantError } from '../platform/errors.ts'
import { describeError } from '../sink-worker/outage/sqlstate.ts'
import { remedyOf } from './failure.ts'

const PROGRAMMING = [InvariantError, TypeError, RangeError, ReferenceError, SyntaxError]

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
