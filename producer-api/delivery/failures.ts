import type { Entry } from './batch.ts'
import { PublishError } from '../errors.ts'
import { type NotAcceptedReason, type Outcome } from './publisher.ts'

/** The outcome of an entry that will not be sent again: `unknown` if any of its sends may have been written. */
export function failure(entry: Entry, reason: NotAcceptedReason): Outcome {
  return entry.mayHaveWritten
    ? { kind: 'unknown', ...causeOf(entry) }
    : { kind: 'not_accepted', reason, ...causeOf(entry) }
}

export function causeOf(entry: Entry): { cause?: Error } {
  return entry.cause === undefined ? {} : { cause: entry.cause }
}

/** Wraps any other error of a publisher, assuming that the records may have been written. */
export function asPublishError(error: unknown): PublishError {
  if (error instanceof PublishError) return error
  const details = { code: 'UNEXPECTED', retryable: true, mayHaveWritten: true, cause: error }
  return new PublishError('the send failed unexpectedly', details)
}
