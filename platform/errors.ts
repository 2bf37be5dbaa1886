/** The family of our own errors. Each part lists its own in its errors.ts. */

/** The properties by which callers decide what to do; `cause` is the error behind it. */
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
  constructor(message: string, cause?: unknown) {
    super(message, { code: 'INVARIANT', retryable: false, needsPerson: true, cause })
  }
}

/**
 * Runs code of ours that does no I/O. Any error of it is a mistake of ours. (A TypeError of kafkajs or pg is not: it may
 * come from a broken answer, and a new connection may help.)
 *
 * @throws {InvariantError}
 */
export function ownCode<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (error instanceof InvariantError) throw error
    throw new InvariantError(`unexpected ${error instanceof Error ? error.name : typeof error}`, error)
  }
}
