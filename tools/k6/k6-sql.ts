/*
 * Recreates the events of k6/lib/event.ts in SQL from their numbers and compares them with the stored rows. The ids of a
 * run ascend and are close together, so one range scan of the primary key finds all rows of a chunk.
 */

/**
 * Settings of the transaction. The planner estimates one row where rows are newer than the statistics, so a nested loop
 * would look cheap. JIT compilation would take longer than the statement.
 */
export const SETTINGS = `SET LOCAL enable_nestloop = off; SET LOCAL jit = off; SET LOCAL work_mem = '64MB'`

/*
 * $1 start of the run (ms), $2 its random number, $3 and $4 first and last number of the chunk, $5 events per request,
 * $6 the requests that were not acknowledged (number of the first event / $5), $7 whether the API refused them, $8 and
 * $9 first and last id of the chunk.
 */
const JOINED = `
WITH expected AS (
  SELECT n, request IS NULL AS acknowledged, coalesce(refused, false) AS refused,
    (lpad(to_hex($1::bigint + n / 4096), 12, '0') || '7' || lpad(to_hex(n % 4096), 3, '0') || '8000'
      || lpad(to_hex($2::bigint), 12, '0'))::uuid AS event_id,
    (n * 48271) % 2147483647 AS user_id,
    to_timestamp($1::bigint / 1000) + (n % 1000000) * interval '1 microsecond' AS "timestamp",
    ('{"n":' || n || ',"page":"/shop/' || n % 5000 || '","referrer":"https://www.example.com/search","price":'
      || n % 100 || '.50,"view":{"w":1280,"h":' || n % 2000 || ',"tags":["a",null,' || (n % 2 = 0)::text
      || ']}}')::jsonb AS metadata
  FROM generate_series($3::bigint, $4::bigint) AS n
  LEFT JOIN unnest($6::bigint[], $7::boolean[]) AS failed (request, refused) ON request = n / $5::bigint
), dead AS (
  SELECT DISTINCT event_id FROM dead_letters WHERE event_id BETWEEN $8::uuid AND $9::uuid
), joined AS (
  SELECT n, x.event_id, acknowledged, refused, stored.event_id IS NOT NULL AS is_stored,
    dead.event_id IS NOT NULL AS is_dead, x.user_id, x."timestamp", x.metadata,
    stored.user_id AS stored_user_id, stored."timestamp" AS stored_timestamp, stored.metadata AS stored_metadata,
    stored.received_at
  FROM expected x
  LEFT JOIN events stored ON stored.event_id = x.event_id AND stored.event_id BETWEEN $8::uuid AND $9::uuid
  LEFT JOIN dead ON dead.event_id = x.event_id
)`

/** Counts acknowledged events of the chunk that are neither stored nor dead letters (yet). */
export const COUNT_MISSING = `${JOINED}
SELECT count(*)::int AS count FROM joined WHERE acknowledged AND NOT is_stored AND NOT is_dead`

/**
 * The outcomes of a chunk: one row per verdict, with the first ids of those that need investigation. Metadata is compared
 * as text, because 1.5 and 1.50 are equal as jsonb; the text form of a jsonb value is unambiguous.
 */
export const JUDGE = `${JOINED}, judged AS (
  SELECT n, event_id, differs, CASE
    WHEN is_dead THEN 'dead'
    WHEN NOT is_stored THEN CASE WHEN acknowledged THEN 'missing' ELSE 'absent' END
    WHEN differs <> '' THEN 'different'
    WHEN acknowledged THEN 'stored'
    WHEN refused THEN 'refused_stored'
    ELSE 'unacknowledged_stored' END AS verdict
  FROM joined, LATERAL (SELECT concat_ws(', ',
    CASE WHEN stored_user_id IS DISTINCT FROM user_id THEN 'user_id' END,
    CASE WHEN stored_timestamp IS DISTINCT FROM "timestamp" THEN 'timestamp' END,
    CASE WHEN stored_metadata::text IS DISTINCT FROM metadata::text THEN 'metadata' END,
    CASE WHEN received_at NOT BETWEEN to_timestamp($1::bigint / 1000) - interval '5 minutes'
      AND now() + interval '5 minutes' THEN 'received_at' END) AS differs) AS compared
)
SELECT verdict, count(*)::int AS count, (count(*) - count(DISTINCT n))::int AS copies,
  (array_agg(concat_ws(' ', event_id, 'n=' || n, CASE verdict WHEN 'different' THEN differs END) ORDER BY n)
    FILTER (WHERE verdict IN ('missing', 'different', 'dead', 'refused_stored')))[1:10] AS ids
FROM judged GROUP BY verdict`
