import type { Entry } from './batch.ts'
import { type NotAcceptedReason, type Outcome, PublishError } from './publisher.ts'

/** The outcome of an entry that will not be sent again: `unknown` once any of its sends may have written. */
export function failure(entry: Entry, reason: NotAcceptedReason): Outcome {
  return entry.mayHaveWritten
    ? { kind: 'unknown', ...because(entry) }
    : { kind: 'not_accepted', reason, ...because(entry) }
}

export function because(entry: Entry): { cause?: Error } {
  return entry.cause === undefined ? {} : { cause: entry.cause }
}

/** For a publisher that breaks its contract: the worst is assumed. */
export function asPublishError(error: unknown): PublishError {
  if (error instanceof PublishError) return error
  const facts = { code: 'UNEXPECTED', retryable: true, mayHaveWritten: true, cause: error }
  return new PublishError('the send failed unexpectedly', facts)
}
