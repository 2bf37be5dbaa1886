import type { GroupDescription } from '../kafka/group-members.ts'
import type { Watermarks } from '../kafka/topic-ends.ts'
import type { UserIndexTime } from '../postgres/partitions/settings.ts'
import type { Result } from './finding.ts'
import type { KeyFileFacts } from './facts-access.ts'
import type { DiskFacts } from './facts-disk.ts'
import type { KafkaFacts } from './facts-kafka.ts'
import type { LockFacts, OffsetFacts, PostgresFacts } from './facts-postgres.ts'
import type { ServiceFacts } from './facts-services.ts'

/** The settings of the services, as far as the checks need them. */
export interface DoctorSettings {
  brokers: readonly string[]
  topic: string
  groupId: string
  sessionTimeoutMs: number
  /** `host:port/database`, for people. */
  database: string
  userIndex: UserIndexTime
  /** Undefined: kept for ever. */
  retentionDays: number | undefined
  deadLetterDays: number | undefined
  /** The limit of keys without their own; undefined: none. */
  keyEventsPerSecond: number | undefined
}

/** The difference between two observations a short time apart. */
export interface Progress {
  /** The time between the observations. */
  seconds: number
  /** Records that were written to Kafka between them. */
  produced: number
  /** Records that the offsets in PostgreSQL moved past between them. */
  stored: number
  /** Records that were not stored yet at the second observation. */
  unread: number
  /** The age of the oldest of them; 0 if there is none. */
  oldestS: number
}

/** Records that an open transaction of another producer kept from being read at both observations. */
export interface HeldBack {
  partition: number
  /** The start of the transaction: the last stable offset. */
  from: bigint
  /** The high watermark. */
  to: bigint
}

/** Facts that need both Kafka and PostgreSQL, and two observations of them. */
export interface Comparison {
  /** The time of the second observation, milliseconds since 1970; the offsets and watermarks are of then. */
  atMs: number
  offsets: OffsetFacts
  watermarks: ReadonlyMap<number, Watermarks>
  group: Result<GroupDescription>
  /** Locks that were held at both observations. */
  locks: LockFacts[]
  progress: Progress
  heldBack: HeldBack[]
  /** The timestamp of the first record of the oldest of them, milliseconds since 1970; undefined if there is none. */
  heldSinceMs: number | undefined
}

/** The input of all checks. */
export interface Facts {
  settings: DoctorSettings
  kafka: Result<KafkaFacts>
  postgres: Result<PostgresFacts>
  /** Undefined unless Kafka and PostgreSQL answer and the topic exists. */
  comparison: Result<Comparison> | undefined
  disks: DiskFacts[]
  /** Undefined if API_KEYS_FILE is not set. */
  keyFile: KeyFileFacts | undefined
  api: ServiceFacts
  sink: ServiceFacts
  maintain: ServiceFacts
}
