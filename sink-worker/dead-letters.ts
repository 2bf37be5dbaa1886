import { createHash } from 'node:crypto'
import { isUtf8 } from 'node:buffer'
import type { Database } from './database.ts'
import type { TopicIdentity } from './fence.ts'
import type { DeadLetter } from './records.ts'

/** Larger values are kept as digest and coordinates. */
const MAX_VALUE_BYTES = 1024 * 1024
/** Rows of one INSERT: bounds the memory of its parameters. */
const INSERT_ROWS = 100

const INSERT = `
  INSERT INTO dead_letters (cluster_id, topic, partition, "offset", event_id, value, value_bytes, value_sha256,
                            headers, reason, sqlstate, message)
  SELECT $1, $2, t.partition, t."offset", t.event_id, t.value, t.value_bytes, t.value_sha256, t.headers, t.reason,
         t.sqlstate, t.message
  FROM unnest($3::int[], $4::bigint[], $5::uuid[], $6::bytea[], $7::bigint[], $8::bytea[], $9::jsonb[], $10::text[],
              $11::text[], $12::text[])
    AS t(partition, "offset", event_id, value, value_bytes, value_sha256, headers, reason, sqlstate, message)
  ON CONFLICT DO NOTHING`

/** Writes dead letters within the open transaction; one that is there already stays as it is. */
export async function insertDeadLetters(
  db: Database,
  identity: TopicIdentity,
  dead: readonly DeadLetter[],
): Promise<void> {
  for (let start = 0; start < dead.length; start += INSERT_ROWS) {
    const rows = dead.slice(start, start + INSERT_ROWS)
    await db.query(INSERT, [
      identity.clusterId,
      identity.topic,
      rows.map(({ record }) => record.partition),
      rows.map(({ record }) => record.offset.toString()),
      rows.map(({ eventId }) => eventId ?? null),
      rows.map(({ record }) => (fits(record.value) ? record.value : null)),
      rows.map(({ record }) => record.value?.length ?? 0),
      rows.map(({ record }) =>
        record.value === null || fits(record.value)
          ? null
          : createHash('sha256').update(record.value).digest(),
      ),
      rows.map(({ record }) => headersAsJson(record.headers)),
      rows.map(({ reason }) => reason),
      rows.map(({ sqlstate }) => sqlstate ?? null),
      rows.map(({ message }) => message.replaceAll('\0', '\\0')), // text holds no NUL
    ])
  }
}

function fits(value: Buffer | null): boolean {
  return value === null || value.length <= MAX_VALUE_BYTES
}

/** Header values as text where they are text that jsonb holds, else as `{"base64": ...}`. */
function headersAsJson(headers: Record<string, Buffer>): string {
  const entries = Object.entries(headers).map(([name, value]) => [
    name.replaceAll('\0', '\\0'),
    isUtf8(value) && !value.includes(0) ? value.toString('utf8') : { base64: value.toString('base64') },
  ])
  return JSON.stringify(Object.fromEntries(entries))
}
