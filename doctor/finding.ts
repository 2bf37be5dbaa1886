/**
 * How serious a finding is. A `note` is worth knowing but no reason for an alarm: it does not change the exit code.
 * `unknown` means that the check could not be made.
 */
export type Level = 'ok' | 'note' | 'unknown' | 'warning' | 'critical'

export interface Finding {
  check: CheckName
  level: Level
  /** One sentence: the fact, and what it means for the data. */
  text: string
  /** One sentence or command that fixes it; only an `ok` has none. */
  mend?: string
}

/** Every check with its description, in the order in which findings of the same level are shown. */
export const CHECKS = {
  kafka: 'Kafka can be reached',
  postgres: 'PostgreSQL can be reached, has the tested version, and accepts writes',
  group: 'every partition is read by a sink',
  lag: 'events that are not stored yet, and how long Kafka still keeps them (the runway)',
  transactions: 'open transactions of other producers that keep records from being read',
  offsets: 'the offsets in PostgreSQL match this topic (I9)',
  topic: 'the topic exists, is not compacted, and accepts what the API sends',
  retention: 'how long the topic keeps events that are not stored yet',
  replication: 'replicas, and how many have an event before its 202',
  session: 'the brokers accept KAFKA_SESSION_TIMEOUT_MS',
  durability: 'fsync, full_page_writes and synchronous_commit',
  tables: 'tables, migrations and column types',
  partitions: 'the partitions of `events` that will soon be needed, and how many there are',
  maintenance: 'partitions that `firehose maintain` should have made, dropped or vacuumed',
  'event-retention': "EVENTS_RETENTION_DAYS and DEAD_LETTERS_RETENTION_DAYS beside the topic's retention",
  'event-ids': 'rows that are in no partition of their time, because of their ids',
  indexes: 'missing and invalid indexes',
  'user-search': 'how long a search for a user in the open partition takes',
  rights: "the sink's privileges",
  locks: 'locks that keep the sink from writing now',
  timeouts: 'timeouts that cancel transactions of the sink, and sinks that cannot terminate a frozen one',
  connections: 'free connections of PostgreSQL',
  wraparound: 'free transaction ids of PostgreSQL',
  wal: 'WAL retained by replication slots or archiving',
  'dead-letters': 'open dead letters',
  disk: 'free disk space of Kafka and PostgreSQL, if it can be determined',
  clocks: 'differences between clocks',
  api: 'the health that the API reports',
  access: 'who may write events, and whether the API could read its keys',
  keys: 'the key file (API_KEYS_FILE): who can read it, keys that expire, browser keys without origins or limit',
  sink: 'the health that a sink reports',
  maintain: 'the health that `firehose maintain --every` reports',
} as const

export type CheckName = keyof typeof CHECKS

/** Least bad first. */
const LEVELS: readonly Level[] = ['ok', 'note', 'unknown', 'warning', 'critical']

/** The exit codes of monitoring plugins (https://www.monitoring-plugins.org/doc/guidelines.html). */
export const EXIT_CODES = { ok: 0, note: 0, warning: 1, critical: 2, unknown: 3 } as const

/** The worst level among the findings. */
export function worstOf(findings: readonly Finding[]): Level {
  const worst = Math.max(0, ...findings.map(({ level }) => LEVELS.indexOf(level)))
  return LEVELS[worst] ?? 'unknown'
}

/** Worst first, then in the order of CHECKS. */
export function sortFindings(findings: readonly Finding[]): Finding[] {
  const order = Object.keys(CHECKS)
  return findings.toSorted(
    (a, b) =>
      LEVELS.indexOf(b.level) - LEVELS.indexOf(a.level) || order.indexOf(a.check) - order.indexOf(b.check),
  )
}

/** A fact that was gathered, or why it could not be. */
export type Result<T> = { ok: true; value: T } | { ok: false; error: string }

/** The findings about a fact; a fact that could not be gathered is an `unknown`. */
export function fromResult<T>(
  check: CheckName,
  result: Result<T>,
  mend: string,
  judge: (value: T) => Finding[],
): Finding[] {
  if (result.ok) return judge(result.value)
  return [{ check, level: 'unknown', text: `This could not be checked: ${result.error}.`, mend }]
}
