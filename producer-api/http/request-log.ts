import type { Logger } from '../../platform/log.ts'

export interface RefusedRequest {
  request_id: string
  method: string
  path: string
  status: number
  problem: string
  /** What was wrong with it, without anything that the client sent. */
  detail: string
  /** Where, in an event. */
  pointer: string | undefined
  cause: string | undefined
}

/** During an outage every request is refused, and logging each one would cost more than answering it. */
const LINES_PER_SECOND = 50
/** Parts of a path that are as long as those of keys and tokens. */
const LONG_PART = /[\w-]{20,}/g

/** Logs refused requests up to a rate limit, and the number of lines that it suppressed. */
export class RequestLog {
  readonly #logger: Logger
  #second = 0
  #lines = 0
  #suppressed = 0

  constructor(logger: Logger) {
    this.#logger = logger
  }

  refused(request: RefusedRequest): void {
    const second = Math.floor(performance.now() / 1_000)
    if (second !== this.#second) {
      if (this.#suppressed > 0) this.#logger.warn({ requests: this.#suppressed }, 'more refused requests')
      this.#second = second
      this.#lines = 0
      this.#suppressed = 0
    }
    if (this.#lines >= LINES_PER_SECOND) {
      this.#suppressed += 1
      return
    }
    this.#lines += 1
    const path = withoutSecrets(request.path)
    this.#logger[request.status >= 500 ? 'warn' : 'info']({ ...request, path }, 'request refused')
  }
}

/** A client may put its key into the path by mistake: `/event&key=...`, or a `?` that was percent-encoded. */
function withoutSecrets(path: string): string {
  return path.replace(LONG_PART, '***')
}
