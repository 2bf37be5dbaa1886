/**
 * How many records one transaction may hold. There is no limit until a transaction times out (a slow trigger or index, a
 * short statement_timeout). Each timeout halves the limit, down to one record; it doubles again while transactions are
 * fast. Pure.
 */
export interface BatchLimit {
  /** Per transaction, at least 1. */
  records: number
  /** The shortest time after which a transaction timed out: by the sink's own limit, or a shorter one of the server. */
  patienceMs: number
}

export const NO_LIMIT: BatchLimit = {
  records: Number.POSITIVE_INFINITY,
  patienceMs: Number.POSITIVE_INFINITY,
}

/** More records than any fetch returns. */
const LARGEST_LIMIT = 1 << 20
/** The limit doubles after a transaction that took no more than this share of the time allowed. */
const QUICK_SHARE = 0.25
/** A server timeout may apply to a single statement, so a transaction can take somewhat longer than `patienceMs`. */
const CLEARLY_LONGER = 2

/** The limit after a transaction of this many records has timed out. */
export function limitAfterTimeout(limit: BatchLimit, records: number, durationMs: number): BatchLimit {
  return {
    records: Math.max(1, Math.floor(Math.min(limit.records, records) / 2)),
    patienceMs: Math.min(limit.patienceMs, durationMs),
  }
}

/**
 * The limit after a committed transaction. Only a transaction that was as large as the limit can raise it.
 *
 * @param silenceMs the time after which the sink itself gives up a transaction
 */
export function limitAfterStored(
  limit: BatchLimit,
  records: number,
  durationMs: number,
  silenceMs: number,
): BatchLimit {
  // If this one could take much longer, the earlier one was cancelled for another reason, such as pg_cancel_backend().
  const wasPatient = durationMs > limit.patienceMs * CLEARLY_LONGER
  const patienceMs = wasPatient ? NO_LIMIT.patienceMs : limit.patienceMs
  const isQuick = durationMs <= Math.min(patienceMs, silenceMs) * QUICK_SHARE
  if (records < limit.records || !isQuick) return { ...limit, patienceMs }
  return limit.records * 2 > LARGEST_LIMIT ? NO_LIMIT : { records: limit.records * 2, patienceMs }
}
