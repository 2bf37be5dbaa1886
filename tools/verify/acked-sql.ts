import { CAREFUL, differencesFromSent, isSameSent, sentFields, type UserIdType } from './fields-sql.ts'
import { cutoff, inBothForms, type Judgement } from './records-sql.ts'

/* The SQL for a range of lines of the ack file. */

/**
 * Judges the lines of verify_acked ($1 cluster, $2 topic, $3 whether part of the topic could not be read, $4 whether
 * Kafka has deleted records, $5 EVENTS_RETENTION_DAYS or null, $6 the time, null for now). A dead letter over 1 MiB has no
 * value to compare. If the event's record is yet to be read, a different row may belong to an earlier event with the same
 * id, so there is no verdict yet; likewise if no record was found and some could not be read. Of an event whose record is
 * no longer in Kafka, only the id says when it was received.
 *
 * @param rows the relation of the rows with their ids
 */
export function judgeAcked(type: UserIdType, rows: string): Judgement {
  return inBothForms(
    (as) => `
INSERT INTO verify_acked_verdicts
SELECT l.line, l.event_id, p.partition, p."offset",
  CASE
    WHEN e.event_id IS NOT NULL AND (c.other = '' OR p.verdict = 'changed') THEN 'stored'
    WHEN EXISTS (SELECT FROM dead_letters d
      CROSS JOIN LATERAL (SELECT pg_temp.as_object(d.value) AS object OFFSET 0) o
      CROSS JOIN LATERAL (SELECT ${sentFields(CAREFUL, type)} OFFSET 0) s
      WHERE d.cluster_id = $1 AND d.topic = $2 AND d.event_id = f.event_id AND (d.value IS NULL
        OR ${isSameSent('s', 'f')} AND s.metadata::text = f.metadata::text)) THEN 'dead'
    WHEN p.verdict = 'unread' THEN 'unread'
    WHEN p.verdict = 'past_retention' THEN 'past_retention'
    WHEN p.partition IS NULL AND $3::boolean THEN 'unjudged'
    WHEN e.event_id IS NOT NULL THEN 'different'
    WHEN p.partition IS NULL AND $4::boolean AND pg_temp.time_of_id(f.event_id) < ${cutoff('$5', '$6')} THEN 'past_retention'
    ELSE 'missing'
  END,
  CASE WHEN e.event_id IS NOT NULL THEN c.other WHEN p.partition IS NULL THEN 'not in what Kafka retains, either'
    ELSE 'in Kafka, but not in the tables' END
FROM verify_acked l
CROSS JOIN LATERAL (SELECT ${as.object('l.value')} AS object OFFSET 0) o
CROSS JOIN LATERAL (SELECT ${as.uuid('l.event_id')} AS event_id, ${sentFields(as, type)} OFFSET 0) f
LEFT JOIN ${rows} e ON e.event_id = f.event_id
LEFT JOIN LATERAL (
  SELECT partition, "offset", verdict FROM verify_places WHERE event_id = f.event_id
  ORDER BY verdict = 'changed' DESC, verdict = 'unread' DESC, verdict = 'past_retention' DESC, partition, "offset" LIMIT 1
) p ON true
CROSS JOIN LATERAL (SELECT concat_ws(', ', ${differencesFromSent('e', 'f')},
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
/** Takes the next deferred lines ($1 the last line taken, $2 how many). */
export const TAKE_PENDING = `
INSERT INTO verify_acked SELECT line, text, value FROM verify_pending WHERE line > $1 ORDER BY line LIMIT $2
RETURNING line::text, event_id`
