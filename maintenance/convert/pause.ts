import { eraFrom, type Range, UNIT_MS } from '../../postgres/partitions/ranges.ts'

/** At least so long before the era begins must the table be a tree. */
const LEAST_LEAD_MS = 3_600_000
/** What is left of that when a conversion goes on that was interrupted. */
const LEAST_REST_MS = 600_000
/** How fast the CHECK reads the table, at least; by far less than any disk, since it only costs time. */
const SLOW_BYTES_PER_S = 20e6
/** How fast it reads a table that is in the cache: half of what was measured on a machine with nothing else to do. */
const FAST_BYTES_PER_S = 5e8
/** To move a row: DELETE, INSERT, six indexes, a foreign key. */
const MOVE_S = 100e-6
/** For the statements themselves. */
const SWAP_S = 0.2

/** The era of a table of this size: from a midnight (UTC) on before which the conversion is surely over. Pure. */
export function eraOf(nowMs: number, bytes: number): Range {
  const leadMs = LEAST_LEAD_MS + (bytes / SLOW_BYTES_PER_S) * 1000
  return eraFrom(nowMs + leadMs + UNIT_MS.day - 1)
}

/** Whether an interrupted conversion may go on with its era. Pure. */
export function isStillAhead(era: Range, nowMs: number): boolean {
  return era.fromMs - nowMs >= LEAST_REST_MS
}

/** How long sinks and readers would wait while rows of the era are moved and the table is read. Pure. @returns seconds */
export function pauseOf(bytes: number, rowsOfEra: number): number {
  return SWAP_S + bytes / FAST_BYTES_PER_S + rowsOfEra * MOVE_S
}

/** How long VALIDATE takes at most, in seconds; nobody waits for it. Pure. */
export function validationOf(bytes: number): number {
  return Math.ceil(bytes / SLOW_BYTES_PER_S)
}
