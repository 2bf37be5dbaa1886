/** An event that is not as it should be. */
export interface Finding {
  event_id: string | null
  /** Where its record is in Kafka; null when no record that was read holds it. */
  partition: number | null
  offset: string | null
  /** In words, or the names of the columns that differ. */
  why: string
}

export type FindingKind = 'missing' | 'different' | 'acked_missing' | 'acked_different'

/** Counts are exact; lists hold the first 100 that were found. `records` = stored + duplicates + dead + missing + different. */
export interface Verdict {
  /** Nothing is missing or different and there are no problems. */
  ok: boolean
  /** Lines of the ack file, and what became of their ids. */
  acked: number
  acked_stored: number
  acked_dead: number
  acked_not_yet_read: number
  /** Not found, but a part of the topic could not be read (held_back, problems): they may be there. */
  acked_not_judged: number
  acked_missing_count: number
  acked_missing: Finding[]
  acked_different_count: number
  acked_different: Finding[]
  /** Records from the first retained one up to the sink's offsets. */
  records: number
  /** Distinct ids that are stored with the content of each of their records. */
  stored: number
  /** Further records of such ids. */
  duplicates: number
  dead: number
  missing_count: number
  missing: Finding[]
  /** Of each partition with missing records, the offset of the first one: from there on they can be read again. */
  missing_from: { partition: number; offset: string }[]
  different_count: number
  different: Finding[]
  /** Records past the sink's offsets. */
  not_yet_read: number
  /** The sinks' consumer group. */
  group: string
  /** Partitions with such records that no member of the group reads. */
  unread_partitions: number[]
  /** Records in all of these that are not yet read. */
  unread_count: number
  /** What open transactions of other producers keep from being read, by the offsets from `from` to before `to`. */
  held_back: { partition: number; from: string; to: string }[]
  /** Offsets in all of these. Few of them are markers, the others records. */
  held_back_count: number
  /** What keeps the verdict from being whole: expired records, a recreated topic, ... One sentence each. */
  problems: string[]
  /** What is worth knowing and no failure, one sentence each. */
  notes: string[]
}

/** A verdict before anything was looked at. */
export function emptyVerdict(group = ''): Verdict {
  return {
    ok: false,
    acked: 0,
    acked_stored: 0,
    acked_dead: 0,
    acked_not_yet_read: 0,
    acked_not_judged: 0,
    acked_missing_count: 0,
    acked_missing: [],
    acked_different_count: 0,
    acked_different: [],
    records: 0,
    stored: 0,
    duplicates: 0,
    dead: 0,
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

/** Counts a finding, and lists it if it is one of the first. */
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
