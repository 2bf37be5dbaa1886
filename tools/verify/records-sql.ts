import {
  CAREFUL,
  clientDifferences,
  clientFields,
  differencesButSource,
  isSameButSource,
  isSameClient,
  isSameSource,
  PLAIN,
  type Reading,
  sentFields,
  type UserIdType,
} from './fields-sql.ts'

/*
 * The SQL for a range of records. PostgreSQL itself parses them, independently of the sink's decoder. Dead letters are
 * looked up by their coordinates first and are not parsed, because they may not be JSON at all.
 */

/** A statement in two forms: `plain` is tried first, `careful` is for ranges with values that `plain` cannot parse. */
export interface Judgement {
  plain: string
  careful: string
}

export function inBothForms(statement: (as: Reading) => string): Judgement {
  return { plain: statement(PLAIN), careful: statement(CAREFUL) }
}

/**
 * Judges the records of verify_records ($1 cluster, $2 topic, $3 EVENTS_RETENTION_DAYS or null, $4 the time, null for now).
 *
 * If received_at is equal, this record made the row: the metadata must be identical, down to the last digit of each number,
 * and the row must have what the API recorded of the client. If it differs, the record is a duplicate, and an equal value
 * of what was sent is enough (1.0 and 1.00), whatever the label of its key is. record_image_eq compares bytes, which settles
 * most rows. OFFSET 0 makes each step run once per record.
 *
 * A row that differs, but has the check of what was sent, was stored and changed since, on purpose (a trigger, an UPDATE).
 *
 * @param rows the relation of the rows with their ids
 */
export function judgeRecords(type: UserIdType, rows: string): Judgement {
  return inBothForms(
    (as) => `
INSERT INTO verify_verdicts
SELECT r.partition, r."offset", f.event_id, coalesce(r.replayed_id, f.event_id),
  CASE
    WHEN r.is_unread THEN 'unread'
    WHEN d.is_dead THEN CASE WHEN d.is_same THEN 'dead' ELSE 'different' END
    WHEN r.is_given_up THEN 'past_retention'
    WHEN e.event_id IS NULL THEN CASE WHEN f.received_at < ${cutoff('$3', '$4')}
      AND num_nulls(f.event_id, f."timestamp", f.metadata) = 0 THEN 'past_retention' ELSE 'missing' END
    WHEN c.is_same THEN 'stored'
    WHEN e.sent_check = r.sent_check THEN 'changed'
    ELSE 'different'
  END,
  CASE
    WHEN d.is_dead THEN 'the dead letter holds another value'
    WHEN jsonb_typeof(o.object) IS DISTINCT FROM 'object' THEN 'not a JSON object, and no dead letter'
    WHEN e.event_id IS NULL THEN 'neither in events nor in dead_letters'
    WHEN NOT c.is_same THEN concat_ws(', ', ${differencesButSource('e', 'f')},
      CASE WHEN NOT m.is_same_source THEN 'source' END,
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
  SELECT ${recordId(as)} AS event_id, ${sentFields(as, type)}, ${clientFields(as)},
    CASE WHEN o.object ? 'received_at' THEN ${as.time(`o.object ->> 'received_at'`)}
      ELSE 'epoch'::timestamptz + r.timestamp_ms * interval '1 millisecond' END AS received_at
  OFFSET 0
) f
LEFT JOIN ${rows} e
  ON e.event_id = coalesce(r.replayed_id, f.event_id)
CROSS JOIN LATERAL (
  SELECT record_image_eq(row(e.metadata), row(f.metadata)) OR coalesce(e.metadata = f.metadata
      AND (e.received_at IS DISTINCT FROM f.received_at OR e.metadata::text = f.metadata::text), false) AS is_same_metadata,
    e.received_at IS DISTINCT FROM f.received_at OR ${isSameClient('e', 'f')} AS is_same_client,
    ${isSameSource('e', 'f', 'r.sent_check')} AS is_same_source
  OFFSET 0
) m
CROSS JOIN LATERAL (
  SELECT m.is_same_metadata AND m.is_same_client AND m.is_same_source AND ${isSameButSource('e', 'f')} AS is_same
) c`,
  )
}

/** The id under which a record is stored. */
function recordId(as: Reading): string {
  return `CASE WHEN r.coordinate_id IS NULL OR o.object ? 'event_id' THEN ${as.uuid(`o.object ->> 'event_id'`)}
      WHEN jsonb_typeof(o.object) = 'object' THEN r.coordinate_id END`
}

/** Events received before this may have been deleted; null without a retention. */
export function cutoff(days: string, now: string): string {
  return `coalesce(${now}::timestamptz, clock_timestamp()) - ${days}::int * interval '1 day'`
}

/** Leaves only the records that were not found as they are, and takes their verdicts back, to judge them again. */
export const KEEP_DOUBTFUL = `
WITH doubtful AS (
  DELETE FROM verify_verdicts WHERE verdict IN ('missing', 'different') RETURNING partition, "offset"
)
DELETE FROM verify_records r
WHERE NOT EXISTS (SELECT FROM doubtful d WHERE d.partition = r.partition AND d."offset" = r."offset")`
/**
 * Reads what became of dead letters of these records that may have been deleted since: those settled more than
 * DEAD_LETTERS_RETENTION_DAYS ($3; $4 the time, null for now) ago. They were given up, or replayed, perhaps under a new id.
 */
export const READ_HISTORY = `
UPDATE verify_records r SET is_given_up = h.outcome = 'discarded', replayed_id = h.event_id
FROM (
  SELECT DISTINCT ON (partition, "offset") partition, "offset", outcome, event_id, at FROM dead_letter_history
  JOIN verify_records USING (partition, "offset") WHERE cluster_id = $1 AND topic = $2 AND outcome <> 'refused'
  ORDER BY partition, "offset", id DESC
) h
WHERE h.partition = r.partition AND h."offset" = r."offset" AND h.at < ${cutoff('$3', '$4')}`
/** The ids of the rows of these records, as PostgreSQL reads them. */
export const READ_IDS = `
SELECT DISTINCT coalesce(r.replayed_id, ${recordId(CAREFUL)})::text AS id
FROM verify_records r CROSS JOIN LATERAL (SELECT pg_temp.as_object(r.value) AS object OFFSET 0) o`

/** Counts the verdicts of the current range. */
export const COUNT_VERDICTS = `SELECT verdict, count(*)::int AS count FROM verify_verdicts GROUP BY verdict`
export const FINDINGS = `
SELECT verdict AS kind, event_id, partition, "offset"::text, why FROM verify_verdicts
WHERE verdict IN ('missing', 'different') ORDER BY partition, verify_verdicts."offset"`
export const KEEP_MATCHED = `
INSERT INTO verify_matched SELECT array_agg(stored_id) FROM verify_verdicts WHERE verdict IN ('stored', 'changed')`
export const KEEP_PLACES = `
INSERT INTO verify_places SELECT v.event_id, v.partition, v."offset",
  CASE WHEN v.stored_id <> v.event_id AND v.verdict = 'stored' THEN 'changed' ELSE v.verdict END FROM verify_verdicts v
CROSS JOIN LATERAL (SELECT FROM verify_pending WHERE event_id = v.event_id LIMIT 1) p
WHERE v.verdict <> 'stored' OR v.stored_id <> v.event_id`
/** One external sort at the end, instead of an index that grows with each range. */
export const COUNT_DISTINCT = `
SELECT count(DISTINCT event_id) AS count FROM verify_matched, unnest(event_ids) AS event_id`
