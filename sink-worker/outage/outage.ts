import type { Backoff } from '../../platform/backoff.ts'

/**
 * The circuit breaker as a pure state machine; outage-guard.ts holds its state.
 * - `paused`: nothing is fetched; one probe at a time is tried, with growing, jittered delays.
 * - `probing`: PostgreSQL answered and batches are fetched again, but none is committed yet (with a full disk, connecting
 *   and reading still work). A failure now resumes the pause where it was.
 */
export type Breaker =
  | { kind: 'running' }
  | { kind: 'paused' | 'probing'; reason: string; needsPerson: boolean; sinceMs: number; attempts: number }

/** The delays between probes of PostgreSQL and Kafka. */
export const PROBE: Backoff = { firstMs: 100, lastMs: 5_000 }

export const RUNNING: Breaker = { kind: 'running' }

/** After a failed write or probe. The outage keeps its start time and takes the latest reason. */
export function afterFailure(
  breaker: Breaker,
  failure: { reason: string; needsPerson: boolean },
  nowMs: number,
): Breaker {
  return breaker.kind === 'running'
    ? { kind: 'paused', ...failure, sinceMs: nowMs, attempts: 0 }
    : { ...breaker, kind: 'paused', ...failure, attempts: breaker.attempts + 1 }
}

/** After a successful probe of PostgreSQL and Kafka. */
export function afterProbe(breaker: Breaker): Breaker {
  return breaker.kind === 'paused' ? { ...breaker, kind: 'probing' } : breaker
}
