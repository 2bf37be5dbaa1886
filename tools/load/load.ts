import { AckFile } from './ack-file.ts'
import { CommonHeaders, type LoadKey } from './common-headers.ts'
import { type Events, openRun, plainEvents, type Run } from './events.ts'
import { HttpPool } from './http-client.ts'
import { type Attempt, judge, LoadRequest } from './load-request.ts'
import { type LoadProgress, type LoadResult, LoadTally } from './load-tally.ts'
import { shapedEvents, type UserIds } from './shapes.ts'

export type { LoadProgress, LoadResult } from './load-tally.ts'

export interface LoadOptions {
  /** Base URL of the API; the host must be this machine. */
  url: string
  /** Sent as `Authorization: Bearer`. */
  key?: LoadKey
  /** Events per second. */
  rate: number
  connections: number
  seconds: number
  /** Determines the events of the run; random by default. */
  seed?: string
  /** Time part of event 0's id, milliseconds since 1970; the current time by default. */
  startedAtMs?: number
  /** Events of all shapes, with user ids of this type; by default plain ones (shapes.ts, events.ts). */
  shapes?: UserIds
  /** Events per request. 1 (the default) posts to /event; more post NDJSON to /events. */
  batch?: number
  /** Where to write the acknowledged events, see ack-file.ts. */
  ackedFile?: string
  /** Repeat a failed request (same ids, same bytes) until it is accepted or `retryForMs` have passed. */
  retry?: boolean
  /** Counted from the intended send time; 120,000 by default. */
  retryForMs?: number
  /** Limit for the wait for a connection, and again for the response; 10,000 by default. */
  timeoutMs?: number
  /** Stops early: nothing new is sent, and requests in flight have 2 s to be answered. */
  signal?: AbortSignal
  /** Called each second. */
  onProgress?: (progress: LoadProgress) => void
  /** Called for each accepted request, with its latency from the intended send time. */
  onAccepted?: (latencyMs: number) => void
}

const DRAIN_AFTER_ABORT_MS = 2000
const RETRY_SLOT_MS = 20

/**
 * Sends `rate * seconds` known events at a fixed rate, regardless of the responses (an open loop), and counts their
 * outcomes.
 *
 * @throws if the URL is not local, nothing listens there, an option is not positive, or the ack file cannot be written
 */
export async function load(options: LoadOptions): Promise<LoadResult> {
  const target = localTarget(options.url)
  const { connections } = options
  for (const name of ['rate', 'connections', 'seconds', 'batch', 'timeoutMs', 'retryForMs'] as const) {
    const value = options[name]
    if (value !== undefined && !(value > 0)) throw new Error(`${name} must be a number above 0`)
  }
  const run = openRun({
    seed: options.seed ?? Math.random().toString(36).slice(2, 10),
    startedAtMs: options.startedAtMs ?? Date.now(),
  })
  const ackFile = options.ackedFile === undefined ? undefined : await AckFile.create(options.ackedFile)
  const pool = new HttpPool({ ...target, connections, timeoutMs: options.timeoutMs ?? 10_000 })
  try {
    if ((await pool.open()) === 0 && !options.retry) throw new Error(`Nothing listens on ${options.url}.`)
    const headers = new CommonHeaders(`${target.host}:${target.port}`, options.key)
    return await new Load(options, run, pool, headers, ackFile).result()
  } finally {
    pool.close()
    await ackFile?.close()
  }
}

/** Host and port of a base URL. @throws if the URL is not local: the load generator is only for your own service */
export function localTarget(url: string): { host: string; port: number } {
  const parsed = URL.canParse(url) ? new URL(url) : undefined
  const local = parsed !== undefined && ['127.0.0.1', 'localhost', '[::1]'].includes(parsed.hostname)
  if (!local || parsed.protocol !== 'http:') {
    throw new Error(
      `Load can only be sent to http://127.0.0.1, http://localhost or http://[::1], not to ${url}.`,
    )
  }
  return { host: parsed.hostname.replace(/^\[|\]$/g, ''), port: Number(parsed.port || 80) }
}

class Load {
  readonly #options: LoadOptions
  readonly #run: Run
  readonly #events: Events
  readonly #pool: HttpPool
  readonly #headers: CommonHeaders
  readonly #ackFile: AckFile | undefined
  readonly #batch: number
  readonly #total: number
  readonly #tally = new LoadTally()
  /** Requests to repeat, by the time slot in which they are due, so that no timer per request is needed. */
  readonly #retrySlots = new Map<number, LoadRequest[]>()
  readonly #finished = Promise.withResolvers<void>()
  #lastSlot = slotOf(this.#tally.startMs)
  #stopped = false

  constructor(
    options: LoadOptions,
    run: Run,
    pool: HttpPool,
    headers: CommonHeaders,
    ackFile: AckFile | undefined,
  ) {
    this.#options = options
    this.#run = run
    this.#events = options.shapes === undefined ? plainEvents(run) : shapedEvents(run, options.shapes)
    this.#pool = pool
    this.#headers = headers
    this.#ackFile = ackFile
    this.#batch = options.batch ?? 1
    this.#total = Math.max(1, Math.round(options.rate * options.seconds))
  }

  async result(): Promise<LoadResult> {
    const { signal, onProgress } = this.#options
    const progress = setInterval(() => onProgress?.(this.#tally.progress(this.#pool)), 1000)
    const onAbort = () => this.#stop()
    signal?.addEventListener('abort', onAbort)
    if (signal?.aborted) this.#stop()
    this.#tick()
    await this.#finished.promise
    clearInterval(progress)
    signal?.removeEventListener('abort', onAbort)
    return this.#tally.summary(this.#run)
  }

  /** Runs every millisecond: sends new requests that are due, then retries that are due. */
  readonly #tick = (): void => {
    const now = performance.now()
    const tally = this.#tally
    const first = tally.sent
    while (!this.#stopped && tally.sent < this.#total) {
      const intendedMs = tally.startMs + (tally.sent / this.#options.rate) * 1000
      if (intendedMs > now) break
      if (tally.sent === first) tally.late(now - intendedMs)
      const count = Math.min(this.#batch, this.#total - tally.sent)
      const request = new LoadRequest(
        this.#events,
        this.#headers,
        tally.sent,
        count,
        this.#batch > 1,
        intendedMs,
      )
      tally.sent += count
      tally.lastSendMs = now
      this.#submit(request)
    }
    this.#sendRetries(slotOf(now))
    tally.maxQueued = Math.max(tally.maxQueued, this.#pool.queued)
    if (tally.settled && (this.#stopped || tally.sent >= this.#total)) this.#finished.resolve()
    else setTimeout(this.#tick, 1)
  }

  #submit(request: LoadRequest): void {
    this.#pool.submit({
      render: () => request.render(),
      done: (outcome) => this.#onDone(request, judge(request, outcome)),
    })
  }

  #onDone(request: LoadRequest, attempt: Attempt): void {
    if (attempt.kind === 'accepted') {
      const latencyMs = performance.now() - request.intendedMs
      this.#tally.accepted(request, latencyMs)
      this.#options.onAccepted?.(latencyMs)
      const ackFile = this.#ackFile
      if (ackFile !== undefined) request.eachEvent((id, body) => ackFile.add(id, body))
      return
    }
    request.afterFailure(attempt.maybeStored)
    const dueMs = performance.now() + request.backoffMs(attempt.retryAfterMs)
    const giveUpMs = request.intendedMs + (this.#options.retryForMs ?? 120_000)
    if (!this.#options.retry || !attempt.retryable || this.#stopped || dueMs > giveUpMs) {
      this.#tally.gaveUp(request, attempt.error)
      return
    }
    this.#tally.repeated(request, attempt.error)
    const slot = slotOf(dueMs) + 1
    const due = this.#retrySlots.get(slot)
    if (due === undefined) this.#retrySlots.set(slot, [request])
    else due.push(request)
  }

  #sendRetries(slotNow: number): void {
    while (this.#lastSlot < slotNow) {
      this.#lastSlot += 1
      const due = this.#retrySlots.get(this.#lastSlot)
      this.#retrySlots.delete(this.#lastSlot)
      for (const request of due ?? []) this.#submit(request)
    }
  }

  #stop(): void {
    this.#stopped = true
    const waiting = [...this.#retrySlots.values()].flat()
    this.#retrySlots.clear()
    for (const request of waiting) this.#tally.gaveUp(request, 'aborted')
    setTimeout(() => this.#pool.close(), DRAIN_AFTER_ABORT_MS).unref()
  }
}

function slotOf(ms: number): number {
  return Math.floor(ms / RETRY_SLOT_MS)
}
