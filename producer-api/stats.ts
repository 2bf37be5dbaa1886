import type { NotAcceptedReason } from './delivery/publisher.ts'
import type { ProblemKind } from './http/problem.ts'

/** Why events were not accepted: the values of the label `reason`. */
export type RejectReason = ProblemKind | NotAcceptedReason | 'aborted' | 'token_undecided'

/** Upper bounds of the latency histogram, in seconds. */
export const LATENCY_BUCKETS_S = [
  0.0025, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10,
]

/**
 * Totals since the process started, in plain fields so that counting costs almost nothing. Events are counted; a body
 * that cannot be read as events counts as one. `received` always equals `accepted`, plus the sum of `rejected`, plus the
 * events waiting in the batcher. Not counted: requests that are not a POST of events (404, 405), and errors of the HTTP
 * parser.
 */
export class ApiStats {
  readonly startedAt = performance.now()
  received = 0
  accepted = 0
  readonly rejected = new Map<RejectReason, number>()
  /** Events answered 202, by the label of their key. */
  readonly acceptedByKey = new Map<string, number>()
  /** Requests answered 202 per bucket; the last bucket is +Inf. */
  readonly latencyCounts = new Float64Array(LATENCY_BUCKETS_S.length + 1)
  latencySumSeconds = 0
  /** Connections closed because their client kept sending without reading the responses. */
  connectionsCut = 0
  /** Connections closed at once because MAX_CONNECTIONS was reached. */
  connectionsRefused = 0

  reject(reason: RejectReason, events: number): void {
    this.rejected.set(reason, (this.rejected.get(reason) ?? 0) + events)
  }

  /** @param label of the key, if there was one */
  accept(events: number, latencySeconds: number, label?: string): void {
    this.accepted += events
    if (label !== undefined) this.acceptedByKey.set(label, (this.acceptedByKey.get(label) ?? 0) + events)
    this.latencySumSeconds += latencySeconds
    let bucket = 0
    while (latencySeconds > (LATENCY_BUCKETS_S[bucket] ?? Number.POSITIVE_INFINITY)) bucket++
    this.latencyCounts[bucket]! += 1
  }
}
