/**
 * What a check says. `note` is true and worth knowing, but no reason to wake anyone: it does not change the exit code.
 * `unknown` means that the check could not look.
 */
export type Level = 'ok' | 'note' | 'unknown' | 'warning' | 'critical'

export interface Finding {
  check: CheckName
  level: Level
  /** One sentence: what is so, and what it means for the data. */
  text: string
  /** One sentence or command that mends it; only an `ok` has none. */
  mend?: string
}

/** Every check, in the order in which findings of one level are shown, with what it looks at. */
export const CHECKS = {
  kafka: 'Kafka can be reached',
  postgres: 'PostgreSQL can be reached, is of a version that is tested, and takes writes',
  group: 'someone reads each partition',
  lag: 'what is not stored yet, and how long Kafka still keeps it (the runway)',
  transactions: 'transactions of other producers that hold back what follows them',
  offsets: 'the offsets in PostgreSQL fit this topic (I9)',
  topic: 'the topic exists, is not compacted and takes what the API sends',
  retention: 'how long the topic keeps what is not stored yet',
  replication: 'replicas, and how many of them a 202 means',
  session: 'the brokers take KAFKA_SESSION_TIMEOUT_MS',
  durability: 'fsync, full_page_writes and synchronous_commit',
  tables: 'tables, migrations and column types',
  indexes: 'indexes that are missing or invalid',
  rights: "the sink's rights",
  locks: 'who keeps the sink from writing now',
  timeouts: 'timeouts that end batches, and sinks that cannot end a frozen one',
  connections: 'connections that are left',
  wraparound: 'transaction ids that are left',
  wal: 'WAL that replication slots or archiving keep',
  'dead-letters': 'records that wait for a person',
  disk: 'space where the data are, where it can be seen',
  clocks: 'clocks that differ',
  api: 'what the API says of itself',
  sink: 'what a sink says of itself',
} as const

export type CheckName = keyof typeof CHECKS

/** Least bad first. */
const LEVELS: readonly Level[] = ['ok', 'note', 'unknown', 'warning', 'critical']

/** As monitoring plugins have them (https://www.monitoring-plugins.org/doc/guidelines.html). */
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

/** What one look gave, or why it gave nothing. */
export type Look<T> = { ok: true; value: T } | { ok: false; error: string }

/** The findings from a look that worked; one that did not is an `unknown` of this check. */
export function fromLook<T>(
  check: CheckName,
  look: Look<T>,
  mend: string,
  judge: (value: T) => Finding[],
): Finding[] {
  if (look.ok) return judge(look.value)
  return [{ check, level: 'unknown', text: `This could not be looked at: ${look.error}.`, mend }]
}
