import { createHash } from 'node:crypto'
import { isUtf8 } from 'node:buffer'
import { DeadLetterMismatchError } from '../errors.ts'
import type { Database } from '../../postgres/database.ts'
import type { DeadLetter, TopicIdentity } from '../../event/record/decoded.ts'

/** Of larger values, only the digest is stored; the value can be read from Kafka by its coordinates. */
const MAX_VALUE_BYTES = 1024 * 1024
/** Rows in one INSERT; bounds the memory of its parameters. */
const INSERT_ROWS = 100

const INSERT = `
  INSERT INTO dead_letters (cluster_id, topic, partition, "offset", event_id, value, value_bytes, value_sha256,
                            headers, reason, sqlstate, message, timestamp_ms)
  SELECT $1, $2, t.partition, t."offset", t.event_id, t.value, t.value_bytes, t.value_sha256, t.headers, t.reason,
         t.sqlstate, t.message, t.timestamp_ms
  FROM unnest($3::int[], $4::bigint[], $5::uuid[], $6::bytea[], $7::bigint[], $8::bytea[], $9::jsonb[], $10::text[],
              $11::text[], $12::text[], $13::bigint[])
    AS t(partition, "offset", event_id, value, value_bytes, value_sha256, headers, reason, sqlstate, message,
         timestamp_ms)
  ON CONFLICT DO NOTHING`

/**
 * Writes dead letters in the open transaction. A row that exists already (its record was read again after a rewind) is
 * kept.
 *
 * @throws {DeadLetterMismatchError} if the existing row is of another record
 */
export async function insertDeadLetters(
  db: Database,
  identity: TopicIdentity,
  dead: readonly DeadLetter[],
): Promise<void> {
  for (let start = 0; start < dead.length; start += INSERT_ROWS) {
    const rows = dead.slice(start, start + INSERT_ROWS)
    const inserted = await db.query(INSERT, [
      identity.clusterId,
      identity.topic,
      rows.map(({ record }) => record.partition),
      rows.map(({ record }) => record.offset.toString()),
      rows.map(({ eventId }) => eventId ?? null),
      rows.map(storedValue),
      rows.map(({ record }) => record.value?.length ?? 0),
      rows.map(storedDigest),
      rows.map(({ record }) => headersAsJson(record.headers)),
      rows.map(({ reason }) => reason),
      rows.map(({ sqlstate }) => sqlstate ?? null),
      rows.map(({ message }) => withoutNul(message)),
      rows.map(({ record }) => withinSafe(record.timestampMs)),
    ])
    if (inserted.rowCount !== rows.length) await compareStored(db, identity, rows)
  }
}

async function compareStored(
  db: Database,
  identity: TopicIdentity,
  rows: readonly DeadLetter[],
): Promise<void> {
  const { rowCount } = await db.query(
    `SELECT 1 FROM dead_letters AS d
     JOIN unnest($3::int[], $4::bigint[], $5::bytea[], $6::bigint[], $7::bytea[])
       AS t(partition, "offset", value, value_bytes, value_sha256) USING (partition, "offset")
     WHERE (d.cluster_id, d.topic) = ($1, $2)
       AND (d.value, d.value_bytes, d.value_sha256) IS DISTINCT FROM (t.value, t.value_bytes, t.value_sha256)`,
    [
      identity.clusterId,
      identity.topic,
      rows.map(({ record }) => record.partition),
      rows.map(({ record }) => record.offset.toString()),
      rows.map(storedValue),
      rows.map(({ record }) => record.value?.length ?? 0),
      rows.map(storedDigest),
    ],
  )
  if (rowCount !== 0) throw new DeadLetterMismatchError()
}

function storedValue(letter: DeadLetter): Buffer | null {
  return isKept(letter) ? letter.record.value : null
}

function storedDigest(letter: DeadLetter): Buffer | null {
  const { value } = letter.record
  return value === null || isKept(letter) ? null : createHash('sha256').update(value).digest()
}

function isKept({ record: { value }, keepsNoValue }: DeadLetter): boolean {
  return keepsNoValue !== true && (value === null || value.length <= MAX_VALUE_BYTES)
}

/** The type `text` cannot hold NUL. */
function withoutNul(text: string): string {
  return text.replaceAll('\0', '\\0')
}

/** A producer may send any int64 as the timestamp. Those past 2^53 are nonsense anyway; clamp them to exact numbers. */
function withinSafe(timestampMs: number): number {
  return Math.max(Number.MIN_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, timestampMs))
}

/** Headers as JSON: values as text if they are UTF-8 without NUL (which jsonb cannot hold), else as `{"base64": ...}`. */
function headersAsJson(headers: Record<string, Buffer>): string {
  const entries = Object.entries(headers).map(([name, value]) => [
    withoutNul(name),
    isUtf8(value) && !value.includes(0) ? value.toString('utf8') : { base64: value.toString('base64') },
  ])
  return JSON.stringify(Object.fromEntries(entries))
}
