import { RANGES_AHEAD, UNIT_MS } from '../postgres/partitions/ranges.ts'
import { STRAY, type Tree } from '../postgres/partitions/tree.ts'
import { LEAST_AHEAD, maintainNow, unitOf } from './check-maintenance.ts'
import type { Facts } from './facts.ts'
import { leafAt, type LayoutFacts, type StoreFacts, type UnknownTree } from './facts-layout.ts'
import { type Finding, fromResult } from './finding.ts'
import { capital, count, instant, plural } from '../platform/units.ts'

/** PostgreSQL plans queries more slowly with each leaf. */
const MANY_LEAVES = 600
const TOO_MANY_LEAVES = 800
/** A larger table takes longer to write and to delete from. */
const LARGE_TABLE_ROWS = 10_000_000

/** Whether `events` has the partitions that it needs now and next, and not too many. */
export function checkPartitions({ postgres }: Facts): Finding[] {
  if (!postgres.ok) return []
  const mend = 'Fix the other findings, then run the doctor again.'
  return fromResult('partitions', postgres.value.layout, mend, (facts) =>
    facts === undefined ? [] : judge(facts),
  )
}

function judge({ layout, stores, nowMs }: LayoutFacts): Finding[] {
  if (layout.kind === 'unknown') return [unknownTree(layout)]
  if (layout.kind === 'table') return [oneTable(stores.get(layout.root.oid))]
  const { leaves } = layout
  const findings = [...checkAhead(layout, nowMs), ...checkCount(layout)]
  if (findings.length > 0) return findings
  const text = `"events" has ${plural(leaves.length, 'partition')}, ${countAhead(layout, nowMs)} of them ahead of now.`
  return [{ check: 'partitions', level: 'ok', text }]
}

function unknownTree({ problem: { text, remedy, isOurs } }: UnknownTree): Finding {
  return {
    check: 'partitions',
    level: isOurs ? 'warning' : 'note',
    text: `${capital(text)}.`,
    mend: capital(remedy),
  }
}

function oneTable(store: StoreFacts | undefined): Finding {
  const text = `"events" is one table of about ${count(store?.rows ?? 0)} rows`
  if (store === undefined || store.rows < LARGE_TABLE_ROWS)
    return { check: 'partitions', level: 'ok', text: `${text}.` }
  return {
    check: 'partitions',
    level: 'note',
    text: `${text}: the larger it is, the longer each write takes, and what is old is deleted row by row.`,
    mend: 'npx firehose maintain --convert splits it into partitions while the sinks go on; with --dry-run, it only says what becomes of all that the table has, and what is in the way.',
  }
}

function countAhead({ leaves }: Tree, nowMs: number): number {
  return leaves.filter(({ fromMs }) => fromMs > nowMs).length
}

function checkAhead(tree: Tree, nowMs: number): Finding[] {
  const { leaves, era } = tree
  const ahead = countAhead(tree, nowMs)
  // On the day of a conversion, the partitions have not begun yet.
  const isCovered = nowMs < era.fromMs || leafAt(leaves, nowMs) !== undefined
  if (isCovered && ahead >= LEAST_AHEAD) return []
  if (!isCovered && ahead >= LEAST_AHEAD) {
    const next = leaves.find(({ fromMs }) => fromMs > nowMs)?.fromMs ?? Number.NaN
    return [
      {
        check: 'partitions',
        level: 'warning',
        text: `"events" has no partition for the ids of now, although those after it exist: their rows are in ${STRAY}.`,
        mend: `npx firehose maintain --once makes it, unless that would hold up the sinks: then it says so, the rows stay there, and the next partition begins at ${instant(next)}.`,
      },
    ]
  }
  const lastMs = leaves.at(-1)?.toMs ?? -Infinity
  const unit = unitOf(leaves)
  const after = ahead === 0 ? 'none' : `only ${ahead}`
  const what = isCovered
    ? `a partition for now, but ${after} after it`
    : `no partition for now, and ${after} after it`
  const since = lastMs > nowMs ? `from ${instant(lastMs)} on` : 'now'
  return [
    {
      check: 'partitions',
      level: isCovered && ahead > 0 ? 'warning' : 'critical',
      text: `"events" has ${what} (usually ${RANGES_AHEAD[unit]}): ${since}, rows collect in ${STRAY}, and a${unit === 'hour' ? 'n hour' : ' day'} with more than 10,000 there never gets a partition.`,
      mend: maintainNow('makes them'),
    },
  ]
}

function checkCount({ leaves }: Tree): Finding[] {
  if (leaves.length <= MANY_LEAVES) return []
  const hours = leaves.filter(({ fromMs, toMs }) => toMs - fromMs < UNIT_MS.day).length
  return [
    {
      check: 'partitions',
      level: leaves.length > TOO_MANY_LEAVES ? 'critical' : 'warning',
      text: `"events" has ${count(leaves.length)} partitions: each makes planning slower, and a query without a bound on event_id locks all of them, until PostgreSQL has no room for more locks.`,
      mend:
        hours > leaves.length / 2
          ? 'Keep hours for at most 30 days (EVENTS_RETENTION_DAYS), or set EVENTS_PARTITION=day for those to come.'
          : `Set EVENTS_RETENTION_DAYS, or keep the oldest as tables of their own: ALTER TABLE events_era DETACH PARTITION ${leaves[0]?.name}; and so on.`,
    },
  ]
}
