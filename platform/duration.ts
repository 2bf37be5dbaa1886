const UNITS_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** A duration as people write it: 90s, 30m, 2h or 7d. @returns milliseconds; undefined if it is none */
export function parseDuration(text: string): number | undefined {
  const [, count, unit = ''] = /^(\d{1,5})([smhd])$/.exec(text) ?? []
  return count === undefined ? undefined : Number(count) * (UNITS_MS[unit] ?? Number.NaN)
}

/** The shortest way to write a duration in whole seconds: 5400000 is 90m. */
export function formatDuration(ms: number): string {
  const unit = ['d', 'h', 'm'].find((each) => ms % (UNITS_MS[each] ?? 1) === 0) ?? 's'
  return `${Math.round(ms / (UNITS_MS[unit] ?? 1))}${unit}`
}
