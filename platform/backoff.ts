/** How long to wait before trying again: doubles with each failure, from the first delay to the last. */
export interface Backoff {
  firstMs: number
  lastMs: number
}

/** 2 to the power of more is past any delay. */
const MOST_DOUBLINGS = 30

/**
 * The wait before the next try, in milliseconds: between half and the whole of the delay, so that many that failed
 * together do not come back in step.
 *
 * @param failures that came before the one at hand: 0 after the first
 * @param random in [0, 1)
 */
export function backoffMs({ firstMs, lastMs }: Backoff, failures: number, random = Math.random()): number {
  const delayMs = Math.min(lastMs, firstMs * 2 ** Math.min(failures, MOST_DOUBLINGS))
  return delayMs * (0.5 + random / 2)
}
