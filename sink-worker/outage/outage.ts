/**
 * The breaker as a pure state machine. `paused`: nothing is fetched, and one prober tries again with growing, jittered
 * delays. `probing`: the database answered and batches flow again, but none is committed yet (a full disk lets one
 * connect and read); a failure now goes on where the pause was. Who holds the state: outage-guard.ts.
 */
export type Breaker =
  | { kind: 'running' }
  | { kind: 'paused' | 'probing'; reason: string; needsPerson: boolean; sinceMs: number; attempts: number }

const FIRST_DELAY_MS = 100
const LAST_DELAY_MS = 5_000

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

/**
 * How long the prober waits before its next try: doubling from 100 ms to 5 s, each between half and whole, so that
 * many workers do not come back in step.
 *
 * @param random in [0, 1)
 */
export function probeDelayMs(attempts: number, random: number): number {
  const whole = Math.min(LAST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(attempts, 10))
  return whole * (0.5 + random / 2)
}
