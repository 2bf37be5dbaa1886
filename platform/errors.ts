/** The family of our own errors. Each part lists its own in its errors.ts. */

/** What decides what happens next; `cause` is the error behind it. */
export interface ErrorFacts {
  /** Stable, in capitals: for logs and tests. */
  code: string
  /** The same attempt may succeed later. */
  retryable: boolean
  /** It stays until a person has changed something. */
  needsPerson: boolean
  cause?: unknown
}

export abstract class FirehoseError extends Error implements ErrorFacts {
  readonly code: string
  readonly retryable: boolean
  readonly needsPerson: boolean

  constructor(message: string, { code, retryable, needsPerson, cause }: ErrorFacts) {
    super(message, cause === undefined ? undefined : { cause })
    this.name = new.target.name
    this.code = code
    this.retryable = retryable
    this.needsPerson = needsPerson
  }
}

/** Something that cannot be true is true: our mistake. Trying again would hide it, so the process ends. */
export class InvariantError extends FirehoseError {
  constructor(message: string) {
    super(message, { code: 'INVARIANT', retryable: false, needsPerson: true })
  }
}

const PROGRAMMING_ERRORS = [InvariantError, TypeError, RangeError, ReferenceError, SyntaxError]

/** Whether an error is a mistake in the program, and not in the world around it. */
export function isBug(error: unknown): boolean {
  return PROGRAMMING_ERRORS.some((kind) => error instanceof kind)
}
