/** Exponential backoff: the delay before a retry doubles with each failure, from `firstMs` up to `lastMs`. */
export interface Backoff {
  firstMs: number
  lastMs: number
}

/** Enough for any delay; keeps the power of 2 finite. */
const MOST_DOUBLINGS = 30

/**
 * The time to wait before the next attempt, in milliseconds: a random share of the delay, at least half of it, so that
 * clients that failed together do not retry together.
 *
 * @param failures the number of failures before the latest one: 0 after the first
 * @param random in [0, 1)
 */
export function backoffMs({ firstMs, lastMs }: Backoff, failures: number, random = Math.random()): number {
  const delayMs = Math.min(lastMs, firstMs * 2 ** Math.min(failures, MOST_DOUBLINGS))
  return delayMs * (0.5 + random / 2)
}
