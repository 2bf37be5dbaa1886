import type { Point, TimelineSummary } from './timeline.ts'

const COLUMNS: [name: string, width: number, of: (point: Point) => string][] = [
  ['time', 6, ({ atS }) => clock(atS)],
  ['requests/s', 11, ({ requestsPerS }) => count(requestsPerS)],
  ['202s/s', 9, ({ ackedPerS }) => count(ackedPerS)],
  ['failed', 8, ({ failed }) => count(failed)],
  ['p99 ms', 9, ({ p99Ms }) => decimal(p99Ms)],
  ['lag', 11, ({ lag }) => count(lag)],
  ['stored/s', 10, ({ storedPerS }) => count(storedPerS)],
  ['rows', 12, ({ stored }) => count(stored)],
]

/** The column headings of `pointLine`. */
export function headerLine(): string {
  return COLUMNS.map(([name, width]) => name.padStart(width)).join('')
}

/** One second of a timeline as a table row. */
export function pointLine(point: Point): string {
  return COLUMNS.map(([, width, of]) => of(point).padStart(width)).join('')
}

/** A line for something that happened between two seconds. */
export function markLine(atS: number, text: string): string {
  return `${clock(atS).padStart(6)}  -- ${text}`
}

/** The summary of a timeline, as names and values. */
export function summaryLines(summary: TimelineSummary, errors: Record<string, number>): string[] {
  const { warmUpS, outageS, p99Ms, ackedPerSDuring, largestLag, drainS, drainedPerS } = summary
  const failed = Object.entries(errors).map(([kind, times]) => `${kind}: ${count(times)}`)
  const rows: [string, string][] = [
    [
      'PostgreSQL was down for',
      `${decimal(outageS)} s, with ${count(ackedPerSDuring)} 202s per second meanwhile`,
    ],
    [
      'p99 of the 202s',
      `${decimal(p99Ms.before)} ms before (from second ${warmUpS} on), ${decimal(p99Ms.during)} ms while it was down, ${decimal(p99Ms.after)} ms after`,
    ],
    ['requests without a 202', failed.length === 0 ? 'none' : failed.join(', ')],
    ['largest lag', `${count(largestLag)} events`],
    ['caught up', `${decimal(drainS)} s after PostgreSQL was back, at ${count(drainedPerS)} rows per second`],
  ]
  return rows.map(([name, value]) => `${name.padEnd(26)}${value}`)
}

/** Minutes and seconds. */
export function clock(seconds: number): string {
  const whole = Math.round(seconds)
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, '0')}`
}

/** An integer with thousands separators; a dash if unknown. */
export function count(value: number | undefined): string {
  return value === undefined ? '-' : Math.round(value).toLocaleString('en-US')
}

/** A number with one decimal; a dash if unknown. */
export function decimal(value: number | undefined): string {
  return value === undefined ? '-' : value.toFixed(1)
}
