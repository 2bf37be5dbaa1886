import {
  CAREFUL,
  clientDifferences,
  clientFields,
  columns,
  FUNCTIONS,
  isSameClient,
  isSameSent,
  PLAIN,
  type Reading,
  sentDifferences,
  sentFields,
  type UserIdType,
} from './fields-sql.ts'

/*
 * The SQL of verify. PostgreSQL itself parses the raw records, independently of the sink's decoder. Dead letters are
 * looked up by their coordinates first and are not parsed, because they may not be JSON at all.
 */

/**
 * What a role or a database may have set otherwise, and our SQL depends on. UTC for timestamps without an offset. JIT
 * would take longer than the statements themselves, and Memoize would cache rows that are not looked up again. A range fits
 * into `temp_buffers`; `work_mem` is for the one sort at the end, which spills to disk.
 */
export const SESSION = `SET standard_conforming_strings = on; SET statement_timeout = 0; SET transaction_timeout = 0;
SET default_transaction_isolation = 'read committed'; SET default_transaction_read_only = off;
SET idle_in_transaction_session_timeout = 0; SET idle_session_timeout = 0; SET TIME ZONE 'UTC'; SET jit = off; SET enable_memoize = off; SET temp_buffers = '32MB'; SET work_mem = '64MB'`

/**
 * The tables of a range are emptied by the COMMIT that ends it:
 * - verify_records: records. `coordinate_id` is the id under which a record without event_id is stored,
 *   `sent_check` the check of a record in the canonical form
 * - verify_verdicts: what became of each record
 * - verify_acked, verify_acked_verdicts: lines of the ack file, and what became of each
 *
 * These grow, on disk, and are only inserted into:
 * - verify_matched: the ids of records found stored, 16 bytes each (one array per range)
 * - verify_pending: lines that were neither stored nor dead-lettered when they were first looked up
 * - verify_places: coordinates of missing, different, changed or unread records with the id of such a line
 */
export const TABLES = `
CREATE TEMP TABLE verify_records (partition int, "offset" bigint, timestamp_ms bigint, is_unread boolean,
  coordinate_id uuid, sent_check bigint, value bytea) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE verify_verdicts (partition int, "offset" bigint, event_id uuid, verdict text, why text)
  ON COMMIT DELETE ROWS;
CREATE TEMP TABLE verify_acked (line bigint, event_id text, value bytea) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE verify_acked_verdicts (line bigint, event_id text, partition int, "offset" bigint, verdict text,
  why text) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE verify_matched (event_ids uuid[] STORAGE EXTERNAL);
CREATE TEMP TABLE verify_pending (line bigint PRIMARY KEY, event_id uuid, text text, value bytea);
CREATE TEMP TABLE verify_places (event_id uuid, partition int, "offset" bigint, is_unread boolean, is_changed boolean);
CREATE INDEX ON verify_pending (event_id);
CREATE INDEX ON verify_places (event_id);
${FUNCTIONS}`

/** A statement in two forms: `plain` is tried first, `careful` is for ranges with values that `plain` cannot parse. */
export interface Judgement {
  plain: string
  careful: string
}

/**
 * Judges the records of verify_records ($1 cluster, $2 topic).
 *
 * If received_at is equal, this record made the row: the metadata must be identical, down to the last digit of each number,
 * and the row must have what the API recorded of the client. If it differs, the record is a duplicate, and an equal value
 * of what was sent is enough (1.0 and 1.00). record_image_eq compares bytes, which settles most rows. OFFSET 0 makes each
 * step run once per record; LIMIT 1 forces an index lookup per record, because the planner would prefer to scan the whole
 * table for each range.
 *
 * A row that differs, but has the check of what was sent, was stored and changed since, on purpose (a trigger, an UPDATE).
 */
export function judgeRecords(userIdType: UserIdType): Judgement {
  return inBothForms(
    (as) => `
INSERT INTO verify_verdicts
SELECT r.partition, r."offset", f.event_id,
  CASE
    WHEN r.is_unread THEN 'unread'
    WHEN d.is_dead THEN CASE WHEN d.is_same THEN 'dead' ELSE 'different' END
    WHEN e.event_id IS NULL THEN 'missing'
    WHEN c.is_same THEN 'stored'
    WHEN e.sent_check = r.sent_check THEN 'changed'
    ELSE 'different'
  END,
  CASE
    WHEN d.is_dead THEN 'the dead letter holds another value'
    WHEN jsonb_typeof(o.object) IS DISTINCT FROM 'object' THEN 'not a JSON object, and no dead letter'
    WHEN e.event_id IS NULL THEN 'neither in events nor in dead_letters'
    WHEN NOT c.is_same THEN concat_ws(', ', ${sentDifferences('e', 'f')},
      CASE WHEN NOT m.is_same_client THEN concat_ws(', ', ${clientDifferences('e', 'f')}) END,
      CASE WHEN NOT m.is_same_metadata THEN 'metadata' END)
  END
FROM verify_records r
LEFT JOIN LATERAL (
  SELECT true AS is_dead, CASE WHEN value_sha256 IS NULL THEN value IS NOT DISTINCT FROM r.value
    ELSE value_sha256 IS NOT DISTINCT FROM sha256(r.value) END AS is_same
  FROM dead_letters WHERE cluster_id = $1 AND topic = $2 AND partition = r.partition AND "offset" = r."offset" LIMIT 1
) d ON true
CROSS JOIN LATERAL (
  SELECT CASE WHEN d.is_dead IS NULL THEN ${as.object('r.value')} END AS object OFFSET 0
) o
CROSS JOIN LATERAL (
  SELECT CASE WHEN r.coordinate_id IS NULL OR o.object ? 'event_id' THEN ${as.uuid(`o.object ->> 'event_id'`)}
      WHEN jsonb_typeof(o.object) = 'object' THEN r.coordinate_id END AS event_id,
    ${sentFields(as, userIdType)}, ${clientFields(as)},
    CASE WHEN o.object ? 'received_at' THEN ${as.time(`o.object ->> 'received_at'`)}
      ELSE 'epoch'::timestamptz + r.timestamp_ms * interval '1 millisecond' END AS received_at
  OFFSET 0
) f
LEFT JOIN LATERAL (SELECT ${columns(userIdType)} FROM events WHERE event_id = f.event_id LIMIT 1) e ON true
CROSS JOIN LATERAL (
  SELECT record_image_eq(row(e.metadata), row(f.metadata)) OR coalesce(e.metadata = f.metadata
      AND (e.received_at IS DISTINCT FROM f.received_at OR e.metadata::text = f.metadata::text), false) AS is_same_metadata,
    e.received_at IS DISTINCT FROM f.received_at OR ${isSameClient('e', 'f')} AS is_same_client
  OFFSET 0
) m
CROSS JOIN LATERAL (
  SELECT m.is_same_metadata AND m.is_same_client AND ${isSameSent('e', 'f')} AS is_same
) c`,
  )
}

/** Counts the verdicts of the current range. */
export const COUNT_VERDICTS = `SELECT verdict, count(*)::int AS count FROM verify_verdicts GROUP BY verdict`
export const FINDINGS = `
SELECT verdict AS kind, event_id, partition, "offset"::text, why FROM verify_verdicts
WHERE verdict IN ('missing', 'different') ORDER BY partition, verify_verdicts."offset"`
export const KEEP_MATCHED = `
INSERT INTO verify_matched SELECT array_agg(event_id) FROM verify_verdicts WHERE verdict IN ('stored', 'changed')`
export const KEEP_PLACES = `
INSERT INTO verify_places SELECT v.event_id, v.partition, v."offset", v.verdict = 'unread', v.verdict = 'changed' FROM verify_verdicts v
CROSS JOIN LATERAL (SELECT FROM verify_pending WHERE event_id = v.event_id LIMIT 1) p
WHERE v.verdict IN ('unread', 'missing', 'different', 'changed')`
/** One external sort at the end, instead of an index that grows with each range. */
export const COUNT_DISTINCT = `
SELECT count(DISTINCT event_id) AS count FROM verify_matched, unnest(event_ids) AS event_id`

/**
 * Judges the lines of verify_acked ($1 cluster, $2 topic, $3 whether part of the topic could not be read). A dead letter
 * over 1 MiB has no value to compare. If the event's record is yet to be read, a different row may belong to an earlier
 * event with the same id, so there is no verdict yet; likewise if no record was found and some could not be read.
 */
export function judgeAcked(userIdType: UserIdType): Judgement {
  return inBothForms(
    (as) => `
INSERT INTO verify_acked_verdicts
SELECT l.line, l.event_id, p.partition, p."offset",
  CASE
    WHEN e.event_id IS NOT NULL AND (c.other = '' OR p.is_changed) THEN 'stored'
    WHEN EXISTS (SELECT FROM dead_letters d
      CROSS JOIN LATERAL (SELECT pg_temp.as_object(d.value) AS object OFFSET 0) o
      CROSS JOIN LATERAL (SELECT ${sentFields(CAREFUL, userIdType)} OFFSET 0) s
      WHERE d.cluster_id = $1 AND d.topic = $2 AND d.event_id = f.event_id AND (d.value IS NULL
        OR ${isSameSent('s', 'f')} AND s.metadata::text = f.metadata::text)) THEN 'dead'
    WHEN p.is_unread THEN 'unread'
    WHEN p.partition IS NULL AND $3::boolean THEN 'unjudged'
    WHEN e.event_id IS NOT NULL THEN 'different'
    ELSE 'missing'
  END,
  CASE WHEN e.event_id IS NOT NULL THEN c.other WHEN p.partition IS NULL THEN 'not in what Kafka retains, either'
    ELSE 'in Kafka, but not in the tables' END
FROM verify_acked l
CROSS JOIN LATERAL (SELECT ${as.object('l.value')} AS object OFFSET 0) o
CROSS JOIN LATERAL (
  SELECT ${as.uuid('l.event_id')} AS event_id, ${sentFields(as, userIdType)} OFFSET 0
) f
LEFT JOIN LATERAL (SELECT ${columns(userIdType)} FROM events WHERE event_id = f.event_id LIMIT 1) e ON true
LEFT JOIN LATERAL (
  SELECT partition, "offset", is_unread, is_changed FROM verify_places WHERE event_id = f.event_id
  ORDER BY is_changed DESC, is_unread DESC, partition, "offset" LIMIT 1
) p ON true
CROSS JOIN LATERAL (SELECT concat_ws(', ', ${sentDifferences('e', 'f')},
  CASE WHEN NOT record_image_eq(row(e.metadata), row(f.metadata)) AND e.metadata::text IS DISTINCT FROM f.metadata::text
    THEN 'metadata' END) AS other OFFSET 0) c`,
  )
}

export const COUNT_ACKED = `SELECT verdict, count(*)::int AS count FROM verify_acked_verdicts GROUP BY verdict`
export const ACKED_FINDINGS = `
SELECT 'acked_' || verdict AS kind, event_id, partition, "offset"::text, why FROM verify_acked_verdicts
WHERE verdict IN ('missing', 'different') ORDER BY line`
/** Defers the lines of the range that are neither stored nor dead-lettered. */
export const KEEP_PENDING = `
INSERT INTO verify_pending SELECT line, pg_temp.as_uuid(event_id), event_id, value
FROM verify_acked JOIN verify_acked_verdicts USING (line, event_id) WHERE verdict NOT IN ('stored', 'dead')`
/** Takes the next deferred lines ($1 the last line taken, $2 how many) and returns the last line taken. */
export const TAKE_PENDING = `
WITH taken AS (
  INSERT INTO verify_acked SELECT line, text, value FROM verify_pending WHERE line > $1 ORDER BY line LIMIT $2
  RETURNING line
)
SELECT max(line)::text AS last_line FROM taken`

/** The sink's offsets of this topic ($1), under any cluster. */
export const SINK_OFFSETS = `SELECT cluster_id, partition, next_offset::text FROM sink_offsets WHERE topic = $1`

/** Whether a unique index on event_id alone exists; without one, an id could be stored twice. */
export const HAS_UNIQUE_ID = `
SELECT EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname = 'event_id'
  WHERE i.indrelid = 'events'::regclass AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
    AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum) AS is_unique`
export const STORED_TWICE = `
SELECT event_id FROM events GROUP BY event_id HAVING count(*) > 1 LIMIT $1`

function inBothForms(statement: (as: Reading) => string): Judgement {
  return { plain: statement(PLAIN), careful: statement(CAREFUL) }
}
