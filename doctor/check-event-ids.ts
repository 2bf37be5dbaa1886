import { OTHER, STRAY } from '../postgres/partitions/tree.ts'
import type { Facts } from './facts.ts'
import type { NewestRows, Place } from './facts-layout.ts'
import { type Finding, fromResult, type Level } from './finding.ts'
import { count, listed } from '../platform/units.ts'

/** A smaller sample says little. */
const LEAST_ROWS = 100
/** From these shares of the newest rows on: a note, a warning. */
const SHARES: Readonly<Record<Exclude<Place, 'leaf'>, readonly [note: number, warning: number]>> = {
  other: [0.05, 0.5],
  // Of these, a day never gets its partition if they are more than 10,000.
  stray: [0.01, 0.1],
}

/** How many of the newest rows are in no partition of their time, and which ids they have. */
export function checkEventIds({ postgres }: Facts): Finding[] {
  if (!postgres.ok || !postgres.value.layout.ok || postgres.value.layout.value === undefined) return []
  const { newest } = postgres.value.layout.value
  if (newest === undefined)
    return [ok('"events" has no partitions of Firehose, so every id is as good as another.')]
  return fromResult('event-ids', newest, 'GRANT SELECT ON events TO this role.', judge)
}

function judge(newest: readonly NewestRows[]): Finding[] {
  const total = sum(newest)
  const of = (place: Place): NewestRows[] => newest.filter((some) => some.place === place)
  if (total < LEAST_ROWS) return [ok('Too few rows came lately to judge their ids.')]
  const findings = [
    ...outside('other', OTHER, of('other'), total),
    ...outside('stray', STRAY, of('stray'), total),
  ]
  if (findings.length > 0) return findings
  return [
    ok(
      `Of the newest ${count(total)} rows, ${percent(sum(of('leaf')) / total)} are in the partition of their time.`,
    ),
  ]
}

function outside(
  place: keyof typeof SHARES,
  table: string,
  rows: readonly NewestRows[],
  total: number,
): Finding[] {
  const share = sum(rows) / total
  const [note, warning] = SHARES[place]
  if (share < note) return []
  const level: Level = share < warning ? 'note' : 'warning'
  const versions = rows.toSorted((a, b) => b.count - a.count).map(({ version }) => nameOf(version))
  const text = `${percent(share)} of the newest ${count(total)} rows are in ${table}: their ids (${listed(versions)})`
  return [
    place === 'other'
      ? {
          check: 'event-ids',
          level,
          text: `${text} begin with no time since the partitions began: such rows are looked up in one large table, and deleted row by row.`,
          mend: 'Send UUIDv7 as event_id, or none: the API then makes one. (Records of other producers without an event_id get a UUIDv5.)',
        }
      : {
          check: 'event-ids',
          level,
          text: `${text} begin with a time that has no partition: before the first, or too far ahead.`,
          mend: 'Correct the clocks that make these ids, or send no event_id: the API then makes one. If the check "partitions" has a finding, that is the cause.',
        },
  ]
}

function nameOf(version: number | null): string {
  return version === null ? 'of no known version' : `UUIDv${version}`
}

function sum(rows: readonly NewestRows[]): number {
  return rows.reduce((total, { count: some }) => total + some, 0)
}

function percent(share: number): string {
  return `${share >= 0.1 || share === 0 ? Math.round(share * 100) : (share * 100).toFixed(1)} %`
}

function ok(text: string): Finding {
  return { check: 'event-ids', level: 'ok', text }
}
