/**
 * The generic cell rate algorithm (ITU-T I.371): a bucket holds a burst, what is taken comes back at a steady rate, and
 * the whole state is one number. That is the TAT, the theoretical arrival time: the moment at which all of the burst will
 * be back. A bucket whose TAT has passed is as good as new, so 0 is the TAT of a bucket that was never used.
 *
 * In any window of T seconds at most burst + rate * T are admitted, and nothing is refused that would keep to this.
 * Times are milliseconds on any clock that never goes back.
 */

/** Of a limit: how fast a bucket fills, and how much it holds. */
export interface Rate {
  perSecond: number
  burst: number
  /** In which one unit comes back. */
  intervalMs: number
  /** In which the whole burst comes back. */
  toleranceMs: number
}

/**
 * What is over by less than this is admitted, so that who waits exactly as long as waitMs() says is not refused once more.
 * The rounding of doubles is that coarse only when the clock has run for a hundred years.
 */
const ROUNDING_MS = 0.001

/** @param burst at least as many as are ever taken at once, so that they fit a bucket that is full */
export function rateOf(perSecond: number, burst: number): Rate {
  const intervalMs = 1_000 / perSecond
  return { perSecond, burst, intervalMs, toleranceMs: burst * intervalMs }
}

/** Milliseconds until `n` can be taken, if nobody takes anything before; 0: now. */
export function waitMs(tatMs: number, nowMs: number, n: number, rate: Rate): number {
  const overMs = Math.max(tatMs - nowMs, 0) + n * rate.intervalMs - rate.toleranceMs
  return overMs > ROUNDING_MS ? overMs : 0
}

/** The TAT after `n` were taken. */
export function tatAfter(tatMs: number, nowMs: number, n: number, rate: Rate): number {
  return Math.max(tatMs, nowMs) + n * rate.intervalMs
}

/**
 * The TAT of a bucket whose rate was changed: what was taken stays taken, as far as the new burst goes. Without this, a
 * bucket that was emptied at one per second would stay empty for minutes, however high its new rate.
 */
export function tatAtRate(tatMs: number, nowMs: number, from: Rate, to: Rate): number {
  const taken = Math.max(tatMs - nowMs, 0) / from.intervalMs
  return nowMs + Math.min(taken, to.burst) * to.intervalMs
}
