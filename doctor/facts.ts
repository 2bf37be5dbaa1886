import type { GroupLook } from '../kafka/group-members.ts'
import type { Watermarks } from '../kafka/topic-ends.ts'
import type { Look } from './finding.ts'
import type { DiskFacts } from './facts-disk.ts'
import type { KafkaFacts } from './facts-kafka.ts'
import type { LockFacts, OffsetFacts, PostgresFacts } from './facts-postgres.ts'
import type { ServiceFacts } from './facts-services.ts'

/** What the services were told, and so what they do. */
export interface DoctorSettings {
  brokers: readonly string[]
  topic: string
  groupId: string
  sessionTimeoutMs: number
  /** `host:port/database`, for people. */
  database: string
}

/** How two looks a little apart differ. */
export interface Progress {
  seconds: number
  /** Records that Kafka took between the looks. */
  produced: number
  /** Records that PostgreSQL's offsets were moved over between the looks. */
  stored: number
  /** Records that are not stored yet, at the second look. */
  unread: number
  /** How old the oldest of them is; 0 when there is none. */
  oldestS: number
}

/** What an open transaction of another producer kept from being read at both looks. */
export interface HeldBack {
  partition: number
  /** Where the transaction began: the last stable offset. */
  from: bigint
  /** The high watermark. */
  to: bigint
}

/** What takes both halves, and two looks. */
export interface Between {
  /** At the second look, as the next two. Milliseconds since 1970. */
  atMs: number
  offsets: OffsetFacts
  watermarks: ReadonlyMap<number, Watermarks>
  group: Look<GroupLook>
  /** Of the first look, those that are still held. */
  locks: LockFacts[]
  progress: Progress
  heldBack: HeldBack[]
  /** When the oldest of these transactions began, milliseconds since 1970; undefined when there is none. */
  heldSinceMs: number | undefined
}

/** All that the checks look at. */
export interface Facts {
  settings: DoctorSettings
  kafka: Look<KafkaFacts>
  postgres: Look<PostgresFacts>
  /** Undefined unless both halves answer and the topic is there. */
  between: Look<Between> | undefined
  disks: DiskFacts[]
  api: ServiceFacts
  sink: ServiceFacts
}
