import type { Client } from 'pg'
import type { RangeLimits } from './judge-range.ts'
import type { EventsTable } from './stored-rows.ts'
import type { Finding, FindingKind, Verdict } from './verdict.ts'

/** What `firehose maintain` may have deleted. */
interface Retention {
  /** EVENTS_RETENTION_DAYS and DEAD_LETTERS_RETENTION_DAYS; null: all are kept. */
  eventDays: number | null
  letterDays: number | null
  /** The time to judge by, instead of PostgreSQL's; for rehearsals. */
  now: Date | null
}

/** State shared by the parts of one comparison. */
export interface VerifyContext {
  readonly client: Client
  readonly clusterId: string
  readonly topic: string
  readonly table: EventsTable
  readonly limits: RangeLimits
  readonly retention: Retention
  readonly verdict: Verdict
  /** Number of records past the sink's offsets, by partition. */
  readonly notYetRead: Map<number, number>
  /** Acknowledged events that were neither stored nor dead-lettered when they were first looked up. */
  pending: number
  /** Whether part of the topic could not be read, so that events not found may still be there. */
  isIncomplete: boolean
  /** Whether Kafka has deleted records of the topic, so that an event without a record may have had one. */
  hasExpired: boolean
  /** Called for each missing or different event. */
  add(kind: FindingKind, finding: Finding): void
  /** Reports progress. */
  report(): void
}
