/**
 * How many records one transaction may hold, as pure rules. PostgreSQL is given as much as comes, until a transaction
 * takes so long that it is given up (a slow trigger or index, a short statement_timeout): then half as much, down to
 * one record. It grows back while transactions are quick.
 */
export interface BatchLimit {
  /** Of one transaction, at least 1. */
  records: number
  /** After so long a transaction was given up last: the sink's own limit, or a shorter one of the server's. */
  patienceMs: number
}

export const NO_LIMIT: BatchLimit = {
  records: Number.POSITIVE_INFINITY,
  patienceMs: Number.POSITIVE_INFINITY,
}

/** More than any fetch brings. */
const LARGEST_LIMIT = 1 << 20
/** A transaction that took less than this share of the time that it has may be twice as large. */
const QUICK_SHARE = 0.25
/** A limit of the server's may be one statement's alone: a transaction can take somewhat longer, and still be near it. */
const CLEARLY_LONGER = 2

/** After a transaction of so many records was given up as too slow. */
export function limitAfterTimeout(limit: BatchLimit, records: number, durationMs: number): BatchLimit {
  return {
    records: Math.max(1, Math.floor(Math.min(limit.records, records) / 2)),
    patienceMs: Math.min(limit.patienceMs, durationMs),
  }
}

/**
 * After a transaction was stored. One that was smaller than the limit says nothing of what a full one takes.
 *
 * @param silenceMs the time after which the sink itself would have given it up
 */
export function limitAfterStored(
  limit: BatchLimit,
  records: number,
  durationMs: number,
  silenceMs: number,
): BatchLimit {
  // One that was given time shows that the other was ended for another reason: by hand (pg_cancel_backend), say.
  const wasPatient = durationMs > limit.patienceMs * CLEARLY_LONGER
  const patienceMs = wasPatient ? NO_LIMIT.patienceMs : limit.patienceMs
  const isQuick = durationMs <= Math.min(patienceMs, silenceMs) * QUICK_SHARE
  if (records < limit.records || !isQuick) return { ...limit, patienceMs }
  return limit.records * 2 > LARGEST_LIMIT ? NO_LIMIT : { records: limit.records * 2, patienceMs }
}
