/**
 * The shapes that pass through the sink: a record as Kafka gave it, and what decoding made of it. Every step after
 * decoding works on these two alone.
 */

/** A Kafka record. Buffers may be views into the whole fetch response. */
export interface KafkaRecord {
  partition: number
  offset: bigint
  /** The record's own timestamp (CreateTime or LogAppendTime), milliseconds since 1970. */
  timestampMs: number
  value: Buffer | null
  headers: Record<string, Buffer>
}

/** The topic that records come from, and whose offsets are kept. */
export interface TopicIdentity {
  clusterId: string
  topic: string
}

/** PostgreSQL's int8; a number only where that is exact. */
export type Int8 = number | bigint

/** A row of `events`. */
export interface EventRow {
  /** Lower case, hyphenated. */
  readonly eventId: string
  readonly userId: Int8
  /** Microseconds since 2000-01-01 UTC, PostgreSQL's binary timestamptz. */
  readonly timestamp: Int8
  /** JSON text that jsonb takes. */
  readonly metadata: Buffer
  /** As `timestamp`. */
  readonly receivedAt: Int8
}

/** Why a record cannot be a row; becomes a row of `dead_letters`. */
export interface DeadLetter {
  record: KafkaRecord
  eventId: string | undefined
  /** A short constant word: see DeadReason. */
  reason: DeadReason
  sqlstate: string | undefined
  /** One sentence; never holds metadata. */
  message: string
}

export type DeadReason =
  /** No JSON object with the four fields of an event. */
  | 'undecodable'
  /** Another event with this id, and other content, came first. */
  | 'event_id_conflict'
  /** PostgreSQL refused the row's data (SQLSTATE class 22 or 54). */
  | 'data_exception'
  /** A constraint or trigger that the user added refused the row. */
  | 'constraint'
  /** A unique index or trigger that the user added kept the row out without an error. */
  | 'kept_out'

/** A record that decoded to a row. */
export interface DecodedRow {
  record: KafkaRecord
  row: EventRow
  /** Nobody has looked into its metadata yet: PostgreSQL will be the first (decode-fast.ts). */
  isUnread?: true | undefined
}

/** What became of one record: each step returns one of these, never a bare exception. */
export type Decoded = { ok: true; row: EventRow } | { ok: false; dead: DeadLetter }
