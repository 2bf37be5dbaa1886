import type { NotAcceptedReason } from './delivery/publisher.ts'
import type { ProblemKind } from './http/problem.ts'

/** Why events were not accepted; the values of a metric's label. */
export type RejectReason = ProblemKind | NotAcceptedReason | 'aborted'

/** Upper bounds of the latency histogram, in seconds. */
export const LATENCY_BUCKETS_S = [
  0.0025, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
]

/**
 * What has happened since the start, in plain fields: counting costs the request next to nothing. Counts of
 * events; a body that cannot be read as events counts as one. At every moment `received` is `accepted`, all of
 * `rejected` and what waits in the batcher for its answer. Not counted: what is no POST of events (404, 405), and what
 * the HTTP parser refuses before there is a request.
 */
export class ApiStats {
  readonly startedAt = performance.now()
  received = 0
  accepted = 0
  readonly rejected = new Map<RejectReason, number>()
  /** Requests answered 202 per bucket, the last one without a bound. */
  readonly latencyCounts = new Float64Array(LATENCY_BUCKETS_S.length + 1)
  latencySumSeconds = 0
  /** Connections ended because their client sent on and on without reading its answers. */
  connectionsCut = 0
  /** Connections ended at once because there were MAX_CONNECTIONS already. */
  connectionsRefused = 0

  reject(reason: RejectReason, events: number): void {
    this.rejected.set(reason, (this.rejected.get(reason) ?? 0) + events)
  }

  accept(events: number, latencySeconds: number): void {
    this.accepted += events
    this.latencySumSeconds += latencySeconds
    let bucket = 0
    while (latencySeconds > (LATENCY_BUCKETS_S[bucket] ?? Number.POSITIVE_INFINITY)) bucket++
    this.latencyCounts[bucket]! += 1
  }
}
