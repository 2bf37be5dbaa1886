import type { Logger } from '../../platform/log.ts'

export interface RefusedRequest {
  request_id: string
  method: string
  path: string
  status: number
  problem: string
  cause: string | undefined
}

/** In an outage every request is refused: writing them all down would cost more than answering them. */
const LINES_PER_SECOND = 50

/** Logs requests that were answered with a problem, up to a rate; says how many it left out. */
export class RequestLog {
  readonly #logger: Logger
  #second = 0
  #lines = 0
  #leftOut = 0

  constructor(logger: Logger) {
    this.#logger = logger
  }

  refused(request: RefusedRequest): void {
    const second = Math.floor(performance.now() / 1_000)
    if (second !== this.#second) {
      if (this.#leftOut > 0) this.#logger.warn({ requests: this.#leftOut }, 'more refused requests')
      this.#second = second
      this.#lines = 0
      this.#leftOut = 0
    }
    if (this.#lines >= LINES_PER_SECOND) {
      this.#leftOut += 1
      return
    }
    this.#lines += 1
    this.#logger[request.status >= 500 ? 'warn' : 'info'](request, 'request refused')
  }
}
