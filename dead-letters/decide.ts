import { createHash } from 'node:crypto'
import { v5 as uuidV5 } from 'uuid'
import { decodeRecord, RECORD_NAMESPACE } from '../event/record/decode.ts'
import type { EventRow } from '../event/fields.ts'
import type { UserIdType } from '../event/kinds.ts'
import type { DeadLetter, DecodedRow, KafkaRecord } from '../event/record/decoded.ts'
import { originalClusterId } from '../sink-worker/positions/resolve.ts'
import type { WritePathOutcome } from '../sink-worker/store/write-batch.ts'
import type { Letter, LetterKey, ReplayOutcome } from './letter.ts'

/*
 * The decisions of a replay, without I/O: the row that a letter becomes, and its outcome.
 */

/** The value of a large letter as read from Kafka, or why it could not be read. */
export type Fetched =
  | { ok: true; value: Buffer | null; timestampMs: number }
  | { ok: false; reason: 'value_expired' | 'value_unavailable'; message: string }

/** The row of a letter, with a note if it differs from the record; or why the letter cannot be a row. */
export type Reading =
  | { ok: true; row: EventRow; record: KafkaRecord; note: string | null }
  | { ok: false; outcome: ReplayOutcome }

type Refusal = Extract<ReplayOutcome, { kind: 'refused' }>

/**
 * Decodes a letter with the sink's own decoder.
 *
 * @param fetched the value from Kafka; needed only for a letter whose value is not in dead_letters
 */
export function readLetterRow(
  letter: Letter,
  topic: string,
  userIdType: UserIdType,
  fetched: Fetched | undefined,
): Reading {
  const content = letter.sha256 === null ? letter : checkFetched(letter.sha256, fetched)
  if ('kind' in content) return { ok: false, outcome: content }
  // If the sink generated the event id, it derived it from the original coordinates.
  const identity = { clusterId: originalClusterId(letter.clusterId), topic }
  const record: KafkaRecord = {
    partition: letter.partition,
    offset: letter.offset,
    timestampMs: content.timestampMs ?? Number.NaN,
    value: content.value,
    headers: {},
  }
  const decoded = decodeRecord(record, identity, userIdType)
  if (decoded.ok) return { ok: true, row: decoded.row, record, note: null }
  if (content.timestampMs === null) {
    const again = { ...record, timestampMs: letter.createdAt.getTime() }
    const late = decodeRecord(again, identity, userIdType)
    const note = 'the timestamp of the record was not kept; received_at is when it became a dead letter'
    if (late.ok) return { ok: true, row: late.row, record: again, note }
  }
  return { ok: false, outcome: refusalOf(decoded.dead) }
}

function checkFetched(
  sha256: Buffer,
  fetched: Fetched | undefined,
): Refusal | { value: Buffer | null; timestampMs: number } {
  if (fetched === undefined)
    return refused('value_unavailable', 'The value is only in Kafka and was not fetched')
  if (!fetched.ok) return refused(fetched.reason, fetched.message)
  const digest = fetched.value === null ? undefined : createHash('sha256').update(fetched.value).digest()
  if (digest?.equals(sha256)) return fetched
  return refused('value_differs', 'Kafka has another record at these coordinates: was the topic recreated?')
}

function refused(reason: Refusal['reason'], message: string): Refusal {
  return { kind: 'refused', reason, sqlstate: null, message }
}

function refusalOf({ reason, sqlstate, message }: DeadLetter): Refusal {
  return { kind: 'refused', reason, sqlstate: sqlstate ?? null, message }
}

/** The outcomes of rows on the split path, by record. */
export function outcomesOf(
  rows: readonly (DecodedRow & { note: string | null })[],
  path: Pick<WritePathOutcome, 'duplicates' | 'dead'>,
): Map<KafkaRecord, ReplayOutcome> {
  const outcomes = new Map<KafkaRecord, ReplayOutcome>(
    rows.map(({ record, row, note }) => [record, { kind: 'stored', eventId: row.eventId, note }]),
  )
  for (const { record, row } of path.duplicates) {
    outcomes.set(record, { kind: 'already_stored', eventId: row.eventId, note: null })
  }
  for (const dead of path.dead) outcomes.set(dead.record, refusalOf(dead))
  return outcomes
}

/**
 * The id under which `--new-id` stores an event whose own id belongs to another event: UUIDv5 (RFC 9562 section 5.5) of
 * its coordinates, so that it is always the same. The suffix distinguishes it from the ids that decodeRecord() generates.
 */
export function newEventId({ clusterId, partition, offset }: LetterKey, topic: string): string {
  return uuidV5(`${clusterId}/${topic}/${partition}/${offset}/new-id`, RECORD_NAMESPACE)
}
