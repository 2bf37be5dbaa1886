/*
 * The ranges of time of leaves, and the ids that belong to them. A UUIDv7 starts with the milliseconds since 1970 in
 * 48 bits (RFC 9562, 5.7), so a range of time is a range of ids; ids of other versions fall where their first bits say.
 */

export const PARTITION_UNITS = ['day', 'hour'] as const
export type PartitionUnit = (typeof PARTITION_UNITS)[number]

/** A range of time, in milliseconds since 1970; `toMs` is exclusive. */
export interface Range {
  fromMs: number
  toMs: number
}

export const UNIT_MS: Readonly<Record<PartitionUnit, number>> = { day: 86_400_000, hour: 3_600_000 }

/** How many ranges after the current one have a leaf: two weeks, or two days, in which maintenance may fail. */
export const RANGES_AHEAD: Readonly<Record<PartitionUnit, number>> = { day: 14, hour: 48 }

const ERA_YEARS = 20

/** The range that has the moment in it. Ranges begin at UTC's midnights and full hours. */
export function rangeAt(unit: PartitionUnit, ms: number): Range {
  const fromMs = Math.floor(ms / UNIT_MS[unit]) * UNIT_MS[unit]
  return { fromMs, toMs: fromMs + UNIT_MS[unit] }
}

/** The current range and those ahead of it, in order. */
export function rangesAhead(unit: PartitionUnit, nowMs: number): Range[] {
  const { fromMs } = rangeAt(unit, nowMs)
  return Array.from({ length: 1 + RANGES_AHEAD[unit] }, (_, n) => rangeAt(unit, fromMs + n * UNIT_MS[unit]))
}

/** The years that are partitioned: from the beginning of the day that has the moment in it. */
export function eraFrom(ms: number): Range {
  const { fromMs } = rangeAt('day', ms)
  const end = new Date(fromMs)
  end.setUTCFullYear(end.getUTCFullYear() + ERA_YEARS)
  return { fromMs, toMs: end.getTime() }
}

/** The smallest id of a moment, whatever its version. */
export function firstIdAt(ms: number): string {
  const hex = ms.toString(16).padStart(12, '0')
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`
}

/** The moment at the start of an id. @returns milliseconds since 1970 */
export function momentOfId(id: string): number {
  return Number.parseInt(id.slice(0, 8) + id.slice(9, 13), 16)
}

/** The name of the leaf of a range: `events_20270131`, or `events_2027013123` for an hour. */
export function partitionName({ fromMs, toMs }: Range): string {
  const digits = new Date(fromMs).toISOString().replaceAll(/\D/g, '')
  return `events_${digits.slice(0, toMs - fromMs < UNIT_MS.day ? 10 : 8)}`
}
