import {
  type PartitionUnit,
  type Range,
  rangeAt,
  rangesAhead,
  UNIT_MS,
} from '../postgres/partitions/ranges.ts'

/* Which leaves there should be. Pure. */

/** The tree and the time, as far as they decide that. Leaves are in order of time. */
export interface TreeTimes {
  leaves: readonly Range[]
  era: Range
  /** Milliseconds since 1970. */
  nowMs: number
  /** Retention drops leaves that end by then, so none is made there. */
  keptFromMs?: number | undefined
}

/**
 * The ranges without a leaf, in order, whatever ids clients send: from the oldest leaf to those ahead of now, within the
 * era. After EVENTS_PARTITION has changed from `hour` to `day`, a day of which some hours have leaves gets the others.
 */
export function missingRanges(unit: PartitionUnit, times: TreeTimes): Range[] {
  const { leaves, era, nowMs, keptFromMs = -Infinity } = times
  const ahead = rangesAhead(unit, nowMs)
  const oldestMs = Math.max(Math.min(leaves[0]?.fromMs ?? Infinity, nowMs), era.fromMs, keptFromMs)
  const wanted = rangesBetween(unit, oldestMs, Math.min(ahead.at(-1)!.toMs, era.toMs))
  return wanted
    .flatMap((range) => (isFree(range, leaves) ? [range] : rangesBetween('hour', range.fromMs, range.toMs)))
    .filter((range) => range.toMs > keptFromMs && isFree(range, leaves))
}

/** The ranges from the one that has `fromMs` in it to the one before `toMs`. */
function rangesBetween(unit: PartitionUnit, fromMs: number, toMs: number): Range[] {
  const { fromMs: firstMs } = rangeAt(unit, fromMs)
  const count = Math.max(0, Math.ceil((toMs - firstMs) / UNIT_MS[unit]))
  return Array.from({ length: count }, (_, n) => rangeAt(unit, firstMs + n * UNIT_MS[unit]))
}

function isFree(range: Range, leaves: readonly Range[]): boolean {
  return leaves.every((leaf) => leaf.toMs <= range.fromMs || leaf.fromMs >= range.toMs)
}

/** How many ranges after the current one have leaves, without a gap. */
export function countAhead(
  unit: PartitionUnit,
  { leaves, nowMs }: Pick<TreeTimes, 'leaves' | 'nowMs'>,
): number {
  const firstMs = rangeAt(unit, nowMs).toMs
  let coveredMs = firstMs
  for (const { fromMs, toMs } of leaves) if (fromMs <= coveredMs && toMs > coveredMs) coveredMs = toMs
  return Math.floor((coveredMs - firstMs) / UNIT_MS[unit])
}

/** The same times in as few ranges as possible. @param ranges in order, none overlaps another */
export function joined(ranges: readonly Range[]): Range[] {
  const spans: Range[] = []
  for (const { fromMs, toMs } of ranges) {
    const last = spans.at(-1)
    if (last?.toMs === fromMs) last.toMs = toMs
    else spans.push({ fromMs, toMs })
  }
  return spans
}
