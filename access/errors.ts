import { FirehoseError } from '../platform/errors.ts'

/** The keys cannot be changed as asked. The message is one sentence without a full stop, for people. */
export class KeyChangeError extends FirehoseError {
  constructor(message: string, cause?: unknown) {
    super(message, { code: 'KEY_CHANGE', retryable: false, needsPerson: true, cause })
  }
}
