/** An event that is missing or different. */
export interface Finding {
  event_id: string | null
  /** Coordinates of its record in Kafka; null if it was in none of the records read. */
  partition: number | null
  offset: string | null
  /** A description, or the names of the columns that differ. */
  why: string
}

export type FindingKind = 'missing' | 'different' | 'acked_missing' | 'acked_different'

/**
 * Counts are exact; lists hold the first 100 findings. `records` = stored + duplicates + dead + past_retention + missing +
 * different.
 */
export interface Verdict {
  /** Nothing is missing or different and there are no problems. */
  ok: boolean
  /** Lines of the ack file; the following fields count what became of their events. */
  acked: number
  acked_stored: number
  acked_dead: number
  /** The same; by the time in its id, if its record is no longer in Kafka. */
  acked_past_retention: number
  acked_not_yet_read: number
  /** Not found, but part of the topic could not be read (held_back, problems), so they may be there. */
  acked_not_judged: number
  acked_missing_count: number
  acked_missing: Finding[]
  acked_different_count: number
  acked_different: Finding[]
  /** Records from the start of the log up to the sink's offsets. */
  records: number
  /** Distinct ids stored with the same content as all their records. */
  stored: number
  /** Of all records of stored ids: those whose row was changed in the database after it was stored. */
  changed: number
  /** Further records of such ids. */
  duplicates: number
  dead: number
  /**
   * In no table, but received longer ago than EVENTS_RETENTION_DAYS; or a dead letter that was discarded, and deleted after
   * DEAD_LETTERS_RETENTION_DAYS.
   */
  past_retention: number
  missing_count: number
  missing: Finding[]
  /** The first missing record of each partition: rewinding the sink to this offset stores them. */
  missing_from: { partition: number; offset: string }[]
  different_count: number
  different: Finding[]
  /** Records at or past the sink's offsets. */
  not_yet_read: number
  /** The sinks' consumer group. */
  group: string
  /** Partitions with records not yet read that are assigned to no member of the group. */
  unread_partitions: number[]
  /** Records not yet read in these partitions. */
  unread_count: number
  /** Offset ranges (`to` is exclusive) held back by open transactions of other producers. */
  held_back: { partition: number; from: string; to: string }[]
  /** Number of offsets in these ranges. A few of them are markers, the others records. */
  held_back_count: number
  /** Why the verdict is incomplete or bad: expired records, a recreated topic, ... One sentence each. */
  problems: string[]
  /** Observations that are not failures, one sentence each. */
  notes: string[]
}

/** The initial verdict: nothing checked yet. */
export function emptyVerdict(group = ''): Verdict {
  return {
    ok: false,
    acked: 0,
    acked_stored: 0,
    acked_dead: 0,
    acked_past_retention: 0,
    acked_not_yet_read: 0,
    acked_not_judged: 0,
    acked_missing_count: 0,
    acked_missing: [],
    acked_different_count: 0,
    acked_different: [],
    records: 0,
    stored: 0,
    changed: 0,
    duplicates: 0,
    dead: 0,
    past_retention: 0,
    missing_count: 0,
    missing: [],
    missing_from: [],
    different_count: 0,
    different: [],
    not_yet_read: 0,
    group,
    unread_partitions: [],
    unread_count: 0,
    held_back: [],
    held_back_count: 0,
    problems: [],
    notes: [],
  }
}

const LIST_LIMIT = 100

/** Counts a finding, and lists it if it is one of the first 100. */
export function addFinding(verdict: Verdict, kind: FindingKind, finding: Finding): void {
  verdict[`${kind}_count`] += 1
  if (verdict[kind].length < LIST_LIMIT) verdict[kind].push(finding)
  const { partition, offset } = finding
  if (kind === 'missing' && partition !== null && offset !== null)
    noteFirst(verdict.missing_from, partition, offset)
}

function noteFirst(firsts: Verdict['missing_from'], partition: number, offset: string): void {
  const first = firsts.find((each) => each.partition === partition)
  if (first === undefined) firsts.push({ partition, offset })
  else if (BigInt(offset) < BigInt(first.offset)) first.offset = offset
}
