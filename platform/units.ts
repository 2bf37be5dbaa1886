/** A duration for people, in the largest unit of which there are at least two: `41 h`, `90 s`. */
export function duration(seconds: number): string {
  const units: [name: string, seconds: number][] = [
    ['days', 86_400],
    ['h', 3_600],
    ['min', 60],
  ]
  const [name, unitSeconds] = units.find(([, unit]) => seconds >= 2 * unit) ?? ['s', 1]
  return `${count(Math.floor(seconds / unitSeconds))} ${name}`
}

/** A moment for people, to the second: `2027-01-31T00:00:00Z`. @param ms milliseconds since 1970 */
export function instant(ms: number): string {
  return new Date(ms).toISOString().replace(/\.\d+/, '')
}

/** A size for people, in powers of 1,000: `3.4 GB`. */
export function size(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let value = bytes
  let unit = 0
  for (; value >= 1_000 && unit < units.length - 1; unit++) value /= 1_000
  return `${value < 10 && unit > 0 ? value.toFixed(1) : Math.round(value)} ${units[unit]}`
}

/** A rounded number with thousands separators: `2,000`. */
export function count(value: number): string {
  return Math.round(value).toLocaleString('en-US')
}

/** `1 record`, `2,000 records`. */
export function plural(value: number, noun: string): string {
  return `${count(value)} ${noun}${Math.round(value) === 1 ? '' : 's'}`
}

/** `0, 1 and 2`; of more than four items, only three are named. */
export function listed(items: readonly (string | number)[]): string {
  if (items.length > 4) return `${items.slice(0, 3).join(', ')} and ${items.length - 3} more`
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`
}

/** With a capital first letter. */
export function capital(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`
}

const UNITS_MS: Record<string, number> = { us: 0.001, ms: 1, s: 1e3, min: 6e4, h: 3.6e6, d: 8.64e7 }

/** A duration as in PostgreSQL's settings (`5s`, `500`, `1min`), in milliseconds; undefined if it is not one. */
export function settingMs(text: string): number | undefined {
  const [, number, unit = 'ms'] = /^\s*(\d+(?:\.\d+)?)\s*(us|ms|s|min|h|d)?\s*$/.exec(text) ?? []
  return number === undefined ? undefined : Number(number) * (UNITS_MS[unit] ?? 1)
}
