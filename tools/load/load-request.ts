import { type Backoff, backoffMs } from '../../platform/backoff.ts'
import { retryAfterMs } from '../../platform/retry-after.ts'
import type { CommonHeaders } from './common-headers.ts'
import type { Events } from './events.ts'
import type { Outcome } from './http-connection.ts'
import { headerOf, type HttpResponse } from './http-response.ts'

/** The result of one attempt. */
export type Attempt =
  | { kind: 'accepted' }
  | {
      kind: 'failed'
      /** `503 unknown`, `422`, `ECONNRESET`, ...: a finite set. */
      error: string
      /** The server may have stored the events anyway. */
      maybeStored: boolean
      /** Sending the same bytes again may help. */
      retryable: boolean
      /** From `Retry-After`; 0 without that header. */
      retryAfterMs: number
    }

const QUOTED_UUID = /"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"/g
const RETRY: Backoff = { firstMs: 100, lastMs: 5_000 }

/** One request of a run: events `first` to `first + count - 1`. Holds its text only while it is in flight. */
export class LoadRequest {
  readonly count: number
  /** The intended send time, by `performance.now()`. */
  readonly intendedMs: number
  readonly #events: Events
  readonly #headers: CommonHeaders
  readonly #first: number
  readonly #isBatch: boolean
  #body: string | undefined
  /** Ids that the API has made for events without one, by number. */
  #madeIds: Map<number, string> | undefined
  #failures = 0
  #maybeStored = false

  constructor(
    events: Events,
    headers: CommonHeaders,
    first: number,
    count: number,
    isBatch: boolean,
    intendedMs: number,
  ) {
    this.#events = events
    this.#headers = headers
    this.#first = first
    this.count = count
    this.#isBatch = isBatch
    this.intendedMs = intendedMs
  }

  /** Whether the server may have accepted any of the attempts. */
  get maybeStored(): boolean {
    return this.#maybeStored
  }

  /** The request's text: the same in each attempt, but for the key if that has changed. */
  render(): { text: string; encoding: 'latin1' | 'utf8' } {
    let body = ''
    let bytes = 0
    if (this.#isBatch) {
      for (let i = 0; i < this.count; i += 1) body += `${this.#events.of(this.#first + i).body}\n`
      bytes = Buffer.byteLength(body)
    } else {
      const event = this.#events.of(this.#first)
      body = event.body
      bytes = event.bodyBytes
    }
    this.#body = body
    const path = this.#isBatch ? '/events' : '/event'
    const type = this.#isBatch ? 'application/x-ndjson' : 'application/json'
    const userAgent = this.#events.userAgentOf?.(this.#first)
    const named = userAgent === undefined ? '' : `User-Agent: ${userAgent}\r\n`
    const head = `POST ${path} HTTP/1.1\r\n${this.#headers.text}${named}Content-Type: ${type}\r\nContent-Length: ${bytes}\r\n\r\n`
    return { text: head + body, encoding: bytes === body.length ? 'latin1' : 'utf8' }
  }

  /** Visits every event whose id is known. */
  eachEvent(visit: (eventId: string, body: string) => void): void {
    for (let n = this.#first; n < this.#first + this.count; n += 1) {
      const id = this.#events.idOf(n) ?? this.#madeIds?.get(n)
      if (id === undefined) continue
      visit(id, this.#isBatch || this.#body === undefined ? this.#events.of(n).body : this.#body)
    }
  }

  /** Whether a response lists the ids of this request, each once, in the order sent; takes those that the API has made. */
  isNamedIn(answer: string): boolean {
    let at = 0
    for (let n = this.#first; n < this.#first + this.count; n += 1) {
      const id = this.#events.idOf(n) ?? this.#takeMadeId(n, answer, at)
      if (id === undefined) return false
      at = answer.indexOf(id, at) + id.length
      if (at < id.length) return false
    }
    return true
  }

  #takeMadeId(n: number, answer: string, from: number): string | undefined {
    QUOTED_UUID.lastIndex = from
    const id = QUOTED_UUID.exec(answer)?.[1]
    if (id !== undefined) (this.#madeIds ??= new Map()).set(n, id)
    return id
  }

  afterFailure(maybeStored: boolean): void {
    this.#failures += 1
    this.#maybeStored ||= maybeStored
    this.#body = undefined
  }

  /** Doubles from 100 ms to 5 s, with jitter, and is never less than the server asked for. */
  backoffMs(askedMs: number): number {
    return Math.max(askedMs, backoffMs(RETRY, this.#failures - 1))
  }
}

/** Interprets an outcome by the HTTP contract: only a 202 that lists our ids counts as accepted. */
export function judge(request: LoadRequest, outcome: Outcome): Attempt {
  if (outcome.kind === 'failure') {
    return {
      kind: 'failed',
      error: outcome.code,
      maybeStored: outcome.sent,
      retryable: true,
      retryAfterMs: 0,
    }
  }
  const { status, body } = outcome.response
  if (status === 202 && request.isNamedIn(body)) return { kind: 'accepted' }
  // A success status that does not follow the contract: something may have been accepted.
  if (status < 300) {
    return {
      kind: 'failed',
      error: `${status} without our ids`,
      maybeStored: true,
      retryable: false,
      retryAfterMs: 0,
    }
  }
  return refusal(outcome.response)
}

function refusal(response: HttpResponse): Attempt {
  const { status } = response
  const outcome = outcomeOf(response.body)
  return {
    kind: 'failed',
    error: outcome === undefined ? String(status) : `${status} ${outcome}`,
    maybeStored: outcome === undefined ? status >= 500 : outcome === 'unknown',
    retryable: status >= 500 || status === 429 || status === 408,
    retryAfterMs: retryAfterMs(headerOf(response.head, 'retry-after')),
  }
}

function outcomeOf(body: string): 'not_accepted' | 'unknown' | undefined {
  try {
    const problem: unknown = JSON.parse(body)
    const outcome =
      typeof problem === 'object' && problem !== null && 'outcome' in problem ? problem.outcome : undefined
    return outcome === 'not_accepted' || outcome === 'unknown' ? outcome : undefined
  } catch {
    return undefined
  }
}
