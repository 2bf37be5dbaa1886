import type { DeadReason } from '../event/record/decoded.ts'

/** The state of a dead letter: dead_letters.state. */
export type LetterState = 'open' | 'replayed' | 'discarded'

/** The key of dead_letters, without the topic: the coordinates of the record. */
export interface LetterKey {
  /** As in dead_letters: for an earlier topic, " until <time>" is appended (see sink-worker/positions/resolve.ts). */
  clusterId: string
  partition: number
  offset: bigint
}

/** A dead letter without the fields that may hold personal data. */
export interface LetterHead extends LetterKey {
  eventId: string | null
  valueBytes: number
  reason: string
  sqlstate: string | null
  message: string
  createdAt: Date
  state: LetterState
}

/** The whole dead letter. */
export interface Letter extends LetterHead {
  /** Null if the record had none, or if only its digest is stored. */
  value: Buffer | null
  /** The digest of a value of more than 1 MiB, which is only in Kafka; null for other values. */
  sha256: Buffer | null
  /** The values are text, or `{"base64": ...}` if they are not UTF-8. */
  headers: Record<string, unknown>
  /** The record's Kafka timestamp, milliseconds since 1970; null if it was not kept. */
  timestampMs: number | null
}

/** Why a replay refused a letter: the sink's reasons, and those for values that only Kafka has. */
type RefusalReason = DeadReason | 'value_expired' | 'value_unavailable' | 'value_differs'

/** The outcome of one letter in a replay. */
export type ReplayOutcome =
  | {
      kind: 'stored' | 'already_stored'
      /** The id of its row. */
      eventId: string
      /** How the row differs from the record; null if it does not. */
      note: string | null
    }
  | { kind: 'refused'; reason: RefusalReason; sqlstate: string | null; message: string }

/** A row of dead_letter_history. */
export interface HistoryEntry {
  at: Date
  by: string
  action: 'replay' | 'discard'
  outcome: ReplayOutcome['kind'] | 'discarded'
  eventId: string | null
  reason: string | null
  sqlstate: string | null
  message: string | null
}

/** `PARTITION:OFFSET`, as on the command line. */
export function placeOf({ partition, offset }: { partition: number; offset: bigint }): string {
  return `${partition}:${offset}`
}

/** The expected result of a replay, by reason. */
export const PROSPECTS: Record<DeadReason, string> = {
  undecodable: 'cannot be decoded by this version either: most stay as they are',
  event_id_conflict: 'stay as they are while another event has their id (--new-id gives them a new one)',
  data_exception: 'stored, if the table accepts them now',
  constraint: 'stored, if the constraint or trigger that refused them is gone',
  kept_out: 'stored, if the index or trigger that kept them out is gone',
}
