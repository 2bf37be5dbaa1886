/*
 * The statements of verify. PostgreSQL itself reads the raw records here: nothing of the sink's decoder takes part.
 * Dead letters are looked up by coordinates first, and what is one is not read: it may be no JSON at all.
 */

/** Session: UTC for timestamps without an offset. JIT would compile each statement for longer than it runs. */
export const SESSION = `SET TIME ZONE 'UTC'; SET jit = off`

/**
 * - verify_bounds: per partition, up to where the sink has read (exclusive)
 * - verify_records: a range of records. `coordinate_id` is what a record without event_id is stored under
 * - verify_verdicts: what became of each record of the range
 * - verify_stored: ids that a record of an earlier range was found stored under
 * - verify_unread: ids of records that the sink has yet to read
 * - verify_findings: records missing or different, of all ranges
 * - verify_acked: a range of lines of the ack file
 */
export const TABLES = String.raw`
CREATE TEMP TABLE verify_bounds (partition int PRIMARY KEY, next_offset bigint NOT NULL);
CREATE TEMP TABLE verify_records (partition int, "offset" bigint, timestamp_ms bigint, coordinate_id uuid,
  is_text boolean, value bytea);
CREATE TEMP TABLE verify_verdicts (partition int, "offset" bigint, event_id uuid, verdict text, why text);
CREATE TEMP TABLE verify_stored (event_id uuid PRIMARY KEY);
CREATE TEMP TABLE verify_unread (event_id uuid);
CREATE TEMP TABLE verify_findings (LIKE verify_verdicts);
CREATE TEMP TABLE verify_acked (event_id text, is_text boolean, value bytea);
CREATE INDEX ON verify_unread (event_id);
CREATE INDEX ON verify_findings (event_id);

-- The event's members of an object that jsonb refuses for the sake of a field that Firehose ignores: NUL, lone surrogates,
-- numbers past numeric. In metadata no row can hold them. Escaped backslashes go first, so that what looks like an
-- escape is one.
CREATE FUNCTION pg_temp.mended(body text) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT jsonb_object_agg(key, value::text::jsonb) FROM json_each(regexp_replace(replace(body, '\\', '\u005c'),
    '\\u0000|\\u[dD][89abAB]\w\w(?!\\u[dD][c-fC-F])|(?<!\\u[dD][89abAB]\w\w)\\u[dD][c-fC-F]\w\w', '', 'g')::json)
  WHERE key IN ('event_id', 'user_id', 'timestamp', 'received_at', 'metadata')
    AND pg_input_is_valid(value::text, 'jsonb')
$$;
-- The object that a value holds, else null. Nesting past the stack's depth is an error, not invalid input.
CREATE FUNCTION pg_temp.as_object(is_text boolean, value bytea) RETURNS jsonb LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  body text;
  object jsonb;
BEGIN
  IF NOT is_text THEN RETURN NULL; END IF;
  body := convert_from(value, 'UTF8');
  BEGIN
    object := body::jsonb;
  EXCEPTION WHEN data_exception THEN
    IF pg_input_is_valid(body, 'json') AND body ~ '^\s*[{]' THEN object := pg_temp.mended(body); END IF;
  END;
  RETURN CASE WHEN jsonb_typeof(object) = 'object' THEN object END;
EXCEPTION WHEN statement_too_complex THEN
  RETURN NULL;
END $$;
CREATE FUNCTION pg_temp.as_uuid(value text) RETURNS uuid LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RETURN CASE WHEN pg_input_is_valid(value, 'uuid') THEN value::uuid END;
END $$;
CREATE FUNCTION pg_temp.as_bigint(value text) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
  RETURN CASE WHEN pg_input_is_valid(value, 'bigint') THEN value::bigint END;
END $$;
-- PostgreSQL rounds digits past the microsecond, Firehose's contract cuts them.
CREATE FUNCTION pg_temp.as_time(value text) RETURNS timestamptz LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN CASE WHEN pg_input_is_valid(value, 'timestamptz')
    THEN regexp_replace(value, '([.]\d{6})\d+', '\1')::timestamptz END;
END $$;
`

/**
 * Judges the records of verify_records ($1 cluster, $2 topic).
 *
 * A row that this very record made has its received_at: then the metadata must be the same to the last digit of each
 * number. Another record's row (this one is a duplicate) need only hold an equal value (1.0 and 1.00).
 */
export const JUDGE_RECORDS = `
WITH record AS MATERIALIZED (
  SELECT r.*, d."offset" IS NOT NULL AS is_dead, CASE
      WHEN d.value_sha256 IS NULL THEN d.value IS DISTINCT FROM r.value
      ELSE d.value_sha256 IS DISTINCT FROM sha256(r.value) END AS is_other_value,
    r."offset" >= b.next_offset AS is_unread,
    CASE WHEN d."offset" IS NULL THEN pg_temp.as_object(r.is_text, r.value) END AS object
  FROM verify_records r
  JOIN verify_bounds b USING (partition)
  LEFT JOIN dead_letters d
    ON d.cluster_id = $1 AND d.topic = $2 AND d.partition = r.partition AND d."offset" = r."offset"
), field AS MATERIALIZED (
  SELECT partition, "offset", is_dead, is_other_value, is_unread, object IS NOT NULL AS is_object,
    CASE WHEN object IS NULL THEN NULL
      WHEN NOT object ? 'event_id' THEN coordinate_id
      ELSE pg_temp.as_uuid(object ->> 'event_id') END AS event_id,
    pg_temp.as_bigint(object ->> 'user_id') AS user_id,
    pg_temp.as_time(object ->> 'timestamp') AS "timestamp",
    object -> 'metadata' AS metadata,
    CASE WHEN NOT object ? 'received_at'
      THEN 'epoch'::timestamptz + timestamp_ms * interval '1 millisecond'
      ELSE pg_temp.as_time(object ->> 'received_at') END AS received_at
  FROM record
)
INSERT INTO verify_verdicts
SELECT f.partition, f."offset", f.event_id,
  CASE
    WHEN f.is_unread THEN 'unread'
    WHEN f.is_dead AND NOT f.is_other_value THEN 'dead'
    WHEN f.is_dead OR e.event_id IS NOT NULL AND c.other <> '' THEN 'different'
    WHEN e.event_id IS NULL THEN 'missing'
    ELSE 'stored'
  END,
  CASE
    WHEN f.is_dead THEN 'the dead letter holds another value'
    WHEN NOT f.is_object THEN 'not a JSON object, and no dead letter'
    WHEN e.event_id IS NULL THEN 'neither in events nor in dead_letters'
    ELSE c.other
  END
FROM field f
LEFT JOIN events e ON e.event_id = f.event_id AND NOT f.is_dead
CROSS JOIN LATERAL (SELECT concat_ws(', ',
  CASE WHEN e.user_id IS DISTINCT FROM f.user_id THEN 'user_id' END,
  CASE WHEN e."timestamp" IS DISTINCT FROM f."timestamp" THEN 'timestamp' END,
  CASE WHEN e.metadata IS DISTINCT FROM f.metadata
    OR e.received_at = f.received_at AND e.metadata::text <> f.metadata::text THEN 'metadata' END) AS other) c`

/** Counts the range just judged, keeps what later ranges and the end need, and empties it. */
export const COUNT_VERDICTS = `
SELECT count(*) FILTER (WHERE verdict <> 'unread')::int AS records, count(*) FILTER (WHERE verdict = 'unread')::int AS unread,
  count(*) FILTER (WHERE verdict = 'stored')::int AS matched, count(*) FILTER (WHERE verdict = 'dead')::int AS dead,
  count(*) FILTER (WHERE verdict = 'missing')::int AS missing, count(*) FILTER (WHERE verdict = 'different')::int AS different
FROM verify_verdicts`
export const KEEP_STORED = `
INSERT INTO verify_stored SELECT DISTINCT event_id FROM verify_verdicts WHERE verdict = 'stored' ON CONFLICT DO NOTHING`
export const KEEP_UNREAD = `INSERT INTO verify_unread SELECT event_id FROM verify_verdicts WHERE verdict = 'unread'`
export const KEEP_FINDINGS = `
INSERT INTO verify_findings SELECT * FROM verify_verdicts WHERE verdict IN ('missing', 'different')`
export const EMPTY_RANGE = `TRUNCATE verify_records, verify_verdicts`

/** The first findings of one kind ($1 verdict, $2 how many). */
export const LIST_FINDINGS = `
SELECT partition, "offset"::text, event_id, why FROM verify_findings WHERE verdict = $1
ORDER BY partition, "offset" LIMIT $2`

/**
 * Judges the lines of verify_acked ($1 cluster, $2 topic, $3 how many lines to return) and returns one row per verdict,
 * with the coordinates of the record where the topic's range held it.
 */
export const JUDGE_ACKED = `
WITH line AS MATERIALIZED (
  SELECT pg_temp.as_uuid(event_id) AS event_id, event_id AS text, pg_temp.as_object(is_text, value) AS object
  FROM verify_acked
), verdict AS MATERIALIZED (
  SELECT l.text AS event_id, p.partition, p."offset", c.other AS why,
    CASE
      WHEN e.event_id IS NOT NULL AND c.other = '' THEN 'stored'
      WHEN EXISTS (SELECT FROM dead_letters d
        WHERE d.cluster_id = $1 AND d.topic = $2 AND d.event_id = l.event_id) THEN 'dead'
      WHEN e.event_id IS NOT NULL THEN 'different'
      WHEN EXISTS (SELECT FROM verify_unread u WHERE u.event_id = l.event_id) THEN 'unread'
      ELSE 'missing'
    END AS verdict
  FROM line l
  LEFT JOIN events e ON e.event_id = l.event_id
  LEFT JOIN LATERAL (SELECT partition, "offset" FROM verify_findings f WHERE f.event_id = l.event_id LIMIT 1) p ON true
  CROSS JOIN LATERAL (SELECT concat_ws(', ',
    CASE WHEN e.user_id IS DISTINCT FROM pg_temp.as_bigint(l.object ->> 'user_id') THEN 'user_id' END,
    CASE WHEN e."timestamp" IS DISTINCT FROM pg_temp.as_time(l.object ->> 'timestamp') THEN 'timestamp' END,
    CASE WHEN e.metadata::text IS DISTINCT FROM (l.object -> 'metadata')::text
      THEN 'metadata' END) AS other) c
)
SELECT verdict, count(*)::int AS count,
  (SELECT coalesce(json_agg(json_build_object('event_id', v.event_id, 'partition', v.partition, 'offset', v."offset"::text,
      'why', CASE WHEN v.verdict = 'different' THEN v.why WHEN v.partition IS NULL
        THEN 'not in what Kafka retains, either' ELSE 'in Kafka, but not in the tables' END)), '[]')
    FROM (SELECT * FROM verdict w WHERE w.verdict = g.verdict AND w.verdict IN ('missing', 'different') LIMIT $3) v) AS findings
FROM verdict g GROUP BY verdict`

/** Offsets of this topic ($1), whatever the cluster. */
export const SINK_OFFSETS = `SELECT cluster_id, partition, next_offset::text FROM sink_offsets WHERE topic = $1`

/** Ids stored more than once, were the key lost: without a unique index on event_id alone nothing forbids it. */
export const HAS_UNIQUE_ID = `
SELECT EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname = 'event_id'
  WHERE i.indrelid = 'events'::regclass AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
    AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum) AS is_unique`
export const STORED_TWICE = `
SELECT event_id FROM events GROUP BY event_id HAVING count(*) > 1 LIMIT $1`
