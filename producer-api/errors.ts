/** The API's own errors. */
import { type ErrorFacts, FirehoseError } from '../platform/errors.ts'

/** A failed send. `code` is an error name of Kafka (`MESSAGE_TOO_LARGE`), the system (`ECONNREFUSED`) or the client. */
export class PublishError extends FirehoseError {
  /** The records may be in Kafka even though the send failed. */
  readonly mayHaveWritten: boolean
  /** The batch is over the broker's size limit; smaller ones may be accepted. */
  readonly tooLarge: boolean

  /** `retryable`: sending the same bytes again, to any partition, may help. */
  constructor(
    message: string,
    facts: Omit<ErrorFacts, 'needsPerson'> & { mayHaveWritten: boolean; tooLarge?: boolean },
  ) {
    super(message, { ...facts, needsPerson: false })
    this.mayHaveWritten = facts.mayHaveWritten
    this.tooLarge = facts.tooLarge ?? false
  }
}
