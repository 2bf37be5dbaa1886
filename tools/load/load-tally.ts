import { createHistogram, type RecordableHistogram } from 'node:perf_hooks'
import type { LoadRequest } from './load-request.ts'

export interface LoadProgress {
  elapsed_s: number
  sent: number
  acked: number
  /** Events acknowledged in the last second. */
  acked_per_s: number
  /** Events that failed for good. */
  failed: number
  /** Failed attempts that were or will be repeated, counted in events. */
  retried: number
  in_flight: number
  /** Requests waiting for a free connection. */
  queued: number
  /** 99th percentile of the latency since the start. */
  p99_ms: number
}

/** All counts are events, not requests: `sent` = `acked` + the sum of `errors`. */
export interface LoadResult {
  seed: string
  started_at_ms: number
  sent: number
  acked: number
  /** Events that failed for good, by kind: `503 not_accepted`, `422`, `ECONNRESET`, `timeout`, ... */
  errors: Record<string, number>
  /** Failed attempts that were repeated, counted in events, by kind. */
  retries: Record<string, number>
  /** The part of the errors where the server may have stored the event (the response was lost). */
  unknown: number
  /** The first 10,000 of their ids. */
  unknown_ids: string[]
  /** Latency of accepted requests, from the INTENDED send time to the response (with `retry`: the last one). */
  p50_ms: number
  p90_ms: number
  p99_ms: number
  max_ms: number
  /** Events sent per second until the last was sent, and acknowledged per second until the end. */
  sent_rate: number
  achieved_rate: number
  /** Maximum number of requests waiting for a free connection. */
  max_queued: number
  /** Delay of the scheduler: actual minus intended send time. */
  late_p99_ms: number
  late_max_ms: number
}

const MAX_UNKNOWN_IDS = 10_000

/** Counts the outcomes of a run's events. */
export class LoadTally {
  readonly startMs = performance.now()
  sent = 0
  acked = 0
  failed = 0
  lastSendMs = this.startMs
  maxQueued = 0
  readonly #latencyUs = createHistogram()
  readonly #lateUs = createHistogram()
  readonly #errors: Record<string, number> = {}
  readonly #retries: Record<string, number> = {}
  readonly #unknownIds: string[] = []
  #unknown = 0
  #retried = 0
  #reportedAcked = 0

  get settled(): boolean {
    return this.acked + this.failed === this.sent
  }

  /** Records that a request was sent `lateMs` after the intended time. */
  late(lateMs: number): void {
    this.#lateUs.record(Math.max(1, Math.round(lateMs * 1000)))
  }

  accepted(request: LoadRequest, latencyMs: number): void {
    this.acked += request.count
    this.#latencyUs.record(Math.max(1, Math.round(latencyMs * 1000)))
  }

  repeated(request: LoadRequest, error: string): void {
    this.#retried += request.count
    add(this.#retries, error, request.count)
  }

  gaveUp(request: LoadRequest, error: string): void {
    this.failed += request.count
    add(this.#errors, error, request.count)
    if (!request.maybeStored) return
    this.#unknown += request.count
    if (this.#unknownIds.length + request.count > MAX_UNKNOWN_IDS) return
    request.eachEvent((id) => this.#unknownIds.push(id))
  }

  /** The progress report; `acked_per_s` counts from the previous report. */
  progress(pool: { queued: number; inFlight: number }): LoadProgress {
    const ackedPerS = this.acked - this.#reportedAcked
    this.#reportedAcked = this.acked
    return {
      elapsed_s: Math.round((performance.now() - this.startMs) / 1000),
      sent: this.sent,
      acked: this.acked,
      acked_per_s: ackedPerS,
      failed: this.failed,
      retried: this.#retried,
      in_flight: pool.inFlight,
      queued: pool.queued,
      p99_ms: percentileMs(this.#latencyUs, 99),
    }
  }

  summary(run: { seed: string; startedAtMs: number }): LoadResult {
    const secondsUntil = (ms: number) => Math.max(0.001, (ms - this.startMs) / 1000)
    return {
      seed: run.seed,
      started_at_ms: run.startedAtMs,
      sent: this.sent,
      acked: this.acked,
      errors: this.#errors,
      retries: this.#retries,
      unknown: this.#unknown,
      unknown_ids: this.#unknownIds,
      p50_ms: percentileMs(this.#latencyUs, 50),
      p90_ms: percentileMs(this.#latencyUs, 90),
      p99_ms: percentileMs(this.#latencyUs, 99),
      max_ms: percentileMs(this.#latencyUs, 100),
      sent_rate: this.sent / secondsUntil(this.lastSendMs),
      achieved_rate: this.acked / secondsUntil(performance.now()),
      max_queued: this.maxQueued,
      late_p99_ms: percentileMs(this.#lateUs, 99),
      late_max_ms: percentileMs(this.#lateUs, 100),
    }
  }
}

function percentileMs(histogram: RecordableHistogram, percent: number): number {
  return histogram.count === 0 ? 0 : histogram.percentile(percent) / 1000
}

function add(counts: Record<string, number>, kind: string, count: number): void {
  counts[kind] = (counts[kind] ?? 0) + count
}
