/**
 * The data types of the sink: a Kafka record, and the row or dead letter decoded from it.
 */

import type { EventRow } from '../fields.ts'

/** A Kafka record. Buffers may be views into the whole fetch response. */
export interface KafkaRecord {
  partition: number
  offset: bigint
  /** When Kafka appended it, or, on a topic with CreateTime, what its producer said; milliseconds since 1970. */
  timestampMs: number
  value: Buffer | null
  headers: Record<string, Buffer>
}

/** Identifies the topic whose records are read and whose offsets are stored. */
export interface TopicIdentity {
  clusterId: string
  topic: string
}

/** A record that cannot be stored in `events`; becomes a row of `dead_letters`. */
export interface DeadLetter {
  record: KafkaRecord
  eventId: string | undefined
  reason: DeadReason
  sqlstate: string | undefined
  /** One sentence; never contains metadata. */
  message: string
  /** Of the value, only the digest is kept, as of a very large one; the value stays in Kafka. */
  keepsNoValue?: true
}

export type DeadReason =
  /** Not a JSON object with the fields of an event. */
  | 'undecodable'
  /** An event with the same id and different content was stored first. */
  | 'event_id_conflict'
  /** PostgreSQL refused the row's data (SQLSTATE class 22 or 54). */
  | 'data_exception'
  /** A constraint or trigger that the user added refused the row. */
  | 'constraint'
  /** A unique index or trigger that the user added suppressed the row without an error. */
  | 'kept_out'

/** A record that decoded to a row. */
export interface DecodedRow {
  record: KafkaRecord
  row: EventRow
  /** Set while the metadata have not been parsed; PostgreSQL is the first to do it (decode-fast.ts). */
  metadataUnparsed?: true | undefined
}

/** The result of decoding one record. */
export type Decoded = { ok: true; row: EventRow } | { ok: false; dead: DeadLetter }

/** The results of many. */
export interface DecodedRecords {
  rows: DecodedRow[]
  dead: DeadLetter[]
  /**
   * A record that an API with USER_ID_TYPE=text wrote, although the column is bigint and cannot hold it. It is among `dead`,
   * but must not become a dead letter.
   */
  mismatched?: KafkaRecord
}
