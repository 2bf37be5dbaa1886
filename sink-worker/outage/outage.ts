import type { Backoff } from '../../platform/backoff.ts'

/**
 * The breaker as a pure state machine. `paused`: nothing is fetched, and one prober tries again with growing, jittered
 * delays. `probing`: the database answered and batches flow again, but none is committed yet (a full disk lets one
 * connect and read); a failure now goes on where the pause was. Who holds the state: outage-guard.ts.
 */
export type Breaker =
  | { kind: 'running' }
  | { kind: 'paused' | 'probing'; reason: string; needsPerson: boolean; sinceMs: number; attempts: number }

/** Of whoever tries again whether PostgreSQL or Kafka is back. */
export const PROBE: Backoff = { firstMs: 100, lastMs: 5_000 }

export const RUNNING: Breaker = { kind: 'running' }

/** After a failed write or probe. The outage keeps its beginning; its reason is the latest. */
export function afterFailure(
  breaker: Breaker,
  failure: { reason: string; needsPerson: boolean },
  nowMs: number,
): Breaker {
  return breaker.kind === 'running'
    ? { kind: 'paused', ...failure, sinceMs: nowMs, attempts: 0 }
    : { ...breaker, kind: 'paused', ...failure, attempts: breaker.attempts + 1 }
}

/** After a probe that found the database and Kafka in order. */
export function afterProbe(breaker: Breaker): Breaker {
  return breaker.kind === 'paused' ? { ...breaker, kind: 'probing' } : breaker
}
