import { MOST_READ_BYTES } from '../maintenance/ahead.ts'
import { USER_INDEXES } from '../postgres/partitions/indexes.ts'
import { type PartitionUnit, rangeAt, RANGES_AHEAD, UNIT_MS } from '../postgres/partitions/ranges.ts'
import type { Leaf, Tree } from '../postgres/partitions/tree.ts'
import { serves } from './index-kinds.ts'
import type { DoctorSettings, Facts } from './facts.ts'
import { isLongOver, leafAt, type LayoutFacts } from './facts-layout.ts'
import type { IndexFacts } from './facts-postgres.ts'
import type { Finding } from './finding.ts'
import { count, instant, listed, plural } from '../platform/units.ts'

/** With fewer leaves ahead, maintenance has failed for many days (or hours), and they are soon used up. */
export const LEAST_AHEAD = 3
/** A search without an index reads about so many rows a second on one core. */
const SEARCHED_ROWS_PER_S = 9_000_000
/** A search then takes about half a second. */
const MOST_ROWS_SEARCHED = 4_000_000

/** What runs maintenance, now and from now on. @param what it does, with a verb */
export function maintainNow(what: string): string {
  return `npx firehose maintain --once ${what}. See that it runs by itself: as a service (npx firehose maintain --every 1h; docker compose up -d maintain), or by cron.`
}

/** By days or by hours, as far as the newest leaf shows. Pure. */
export function unitOf(leaves: readonly Leaf[]): PartitionUnit {
  const last = leaves.at(-1)
  return last !== undefined && last.toMs - last.fromMs < UNIT_MS.day ? 'hour' : 'day'
}

/** Whether maintenance keeps up with the partitions of `events`, and whether the open one can be searched. */
export function checkMaintenance({ settings, postgres }: Facts): Finding[] {
  if (!postgres.ok || !postgres.value.layout.ok || postgres.value.layout.value === undefined) return []
  const { layout, indexes } = postgres.value
  const facts = layout.value
  if (facts?.layout.kind !== 'tree')
    return [
      {
        check: 'maintenance',
        level: 'ok',
        text: '"events" has no partitions of Firehose to be made or closed.',
      },
      { check: 'user-search', level: 'ok', text: 'Searches for a user need no partition to be closed.' },
    ]
  const late = checkLate(facts, facts.layout, settings)
  const search = checkSearch(facts, facts.layout, indexes.ok ? indexes.value : [])
  return [
    ...(late.length > 0
      ? late
      : [ok('maintenance', 'Partitions are made as far ahead as usual; those that are over are vacuumed.')]),
    ...(search.length > 0
      ? search
      : [ok('user-search', 'A search for a user reads no large partition as a whole.')]),
  ]
}

function ok(check: Finding['check'], text: string): Finding {
  return { check, level: 'ok', text }
}

function checkLate(
  { stores, nowMs }: LayoutFacts,
  { leaves, stray }: Tree,
  { retentionDays }: DoctorSettings,
): Finding[] {
  const findings: Finding[] = []
  const add = (text: string, does: string): void => {
    findings.push({ check: 'maintenance', level: 'warning', text, mend: maintainNow(does) })
  }
  const unit = unitOf(leaves)
  const ahead = rangesTo(leaves.at(-1), unit, nowMs)
  // Just before a run, one is missing; beside a large `events_stray`, half of them. If nearly all are, see "partitions".
  const isStrayLarge = (stores.get(stray.oid)?.bytes ?? 0) > MOST_READ_BYTES
  const least = RANGES_AHEAD[unit] / (isStrayLarge ? 2 : 1) - 1
  if (ahead >= LEAST_AHEAD && ahead < least)
    add(
      `Partitions of "events" are made only ${plural(ahead, unit)} ahead of now, not ${RANGES_AHEAD[unit]}: maintenance is late.`,
      'makes them',
    )
  const expiredMs = retentionDays === undefined ? -Infinity : nowMs - retentionDays * UNIT_MS.day
  const expired = leaves.filter((leaf) => isLongOver(leaf, expiredMs))
  if (expired.length > 0)
    add(
      `${plural(expired.length, 'partition')} of "events" (${listed(expired.map(({ name }) => name))}) ended more than EVENTS_RETENTION_DAYS=${retentionDays} and a day ago: old events are kept too long.`,
      'drops them, or says why it cannot',
    )
  const open = leaves.filter((leaf) => {
    const store = stores.get(leaf.oid)
    return isLongOver(leaf, nowMs) && !expired.includes(leaf) && store !== undefined && !store.isVacuumed
  })
  if (open.length > 0)
    add(
      `${plural(open.length, 'partition')} of "events" (${listed(open.map(({ name }) => name))}), over for more than a day, ${open.length === 1 ? 'was' : 'were'} not vacuumed: PostgreSQL will have to freeze the rows later, while it is busy.`,
      'vacuums them',
    )
  return findings
}

/** How many ranges after the current one lie before the end of the leaf; negative if it is over. Pure. */
function rangesTo(last: Leaf | undefined, unit: PartitionUnit, nowMs: number): number {
  return last === undefined ? -1 : Math.floor((last.toMs - rangeAt(unit, nowMs).toMs) / UNIT_MS[unit])
}

/** The leaf of now, or the one before, which shows how large it becomes: without an index on users, all of it is read. */
function checkSearch(
  { stores, nowMs }: LayoutFacts,
  { leaves }: Tree,
  indexes: readonly IndexFacts[],
): Finding[] {
  const leaf = leafAt(leaves, nowMs)
  if (leaf === undefined) return []
  const ofLeaf = indexes.filter(({ tableOid, valid }) => tableOid === leaf.oid && valid)
  if (USER_INDEXES.every((kind) => ofLeaf.some((index) => serves(index, kind)))) return []
  const alike = leaves.filter(
    ({ fromMs, toMs }) => fromMs <= nowMs && toMs - fromMs === leaf.toMs - leaf.fromMs,
  )
  const rows = Math.max(...alike.slice(-2).map(({ oid }) => stores.get(oid)?.rows ?? 0))
  if (rows < MOST_ROWS_SEARCHED) return []
  return [
    {
      check: 'user-search',
      level: 'warning',
      text: `The open partition ${leaf.name} has no index on users or visitors, and such a partition has up to ${count(rows)} rows: a search for one reads all of it, which takes about ${(rows / SEARCHED_ROWS_PER_S).toFixed(1)} s until ${instant(leaf.toMs)}.`,
      mend: `Set EVENTS_USER_INDEX=immediate for maintain, and npx firehose maintain --once builds it${unitOf(leaves) === 'day' ? '; or EVENTS_PARTITION=hour, for the partitions that do not exist yet' : ''}.`,
    },
  ]
}
