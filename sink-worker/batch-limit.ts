/**
 * How many records one transaction may hold, as pure rules. PostgreSQL is given as much as comes, until a transaction
 * takes so long that it is given up (a slow trigger or index, a short statement_timeout): then half as much, down to
 * one record. It grows back while transactions are quick.
 */

export const NO_LIMIT = Number.POSITIVE_INFINITY

/** More than any fetch brings. */
const LARGEST_LIMIT = 1 << 20
/** A transaction that took less than this share of the time that it has may be twice as large. */
const QUICK_SHARE = 0.25

/** After a transaction of so many records was given up as too slow. */
export function limitAfterTimeout(limit: number, records: number): number {
  return Math.max(1, Math.floor(Math.min(limit, records) / 2))
}

/**
 * After a transaction was stored. One that was smaller than the limit says nothing of what a full one takes.
 *
 * @param timeoutMs the time after which it would have been given up
 */
export function limitAfterStored(
  limit: number,
  records: number,
  durationMs: number,
  timeoutMs: number,
): number {
  if (records < limit || durationMs > timeoutMs * QUICK_SHARE) return limit
  return limit * 2 > LARGEST_LIMIT ? NO_LIMIT : limit * 2
}
