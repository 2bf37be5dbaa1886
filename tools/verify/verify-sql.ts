import { FUNCTIONS } from './fields-sql.ts'

/*
 * The SQL of verify. PostgreSQL itself parses the raw records, independently of the sink's decoder: records-sql.ts, and for
 * the ack file acked-sql.ts.
 */

/**
 * What a role or a database may have set otherwise, and our SQL depends on. UTC for timestamps without an offset. JIT
 * would take longer than the statements themselves, and Memoize would cache rows that are not looked up again. The planner
 * cannot know how many rows are found by their ids: joined in loops, a range would take minutes. A range fits into
 * `temp_buffers`; `work_mem` is for the one sort at the end, which spills to disk.
 */
export const SESSION = `SET standard_conforming_strings = on; SET statement_timeout = 0; SET transaction_timeout = 0;
SET default_transaction_isolation = 'read committed'; SET default_transaction_read_only = off;
SET idle_in_transaction_session_timeout = 0; SET idle_session_timeout = 0; SET TIME ZONE 'UTC'; SET jit = off;
SET enable_memoize = off; SET enable_nestloop = off; SET enable_mergejoin = off; SET temp_buffers = '32MB'; SET work_mem = '64MB'`

/**
 * The tables of a range are emptied by the COMMIT that ends it:
 * - verify_records: records. `coordinate_id` is the id under which a record without event_id is stored,
 *   `sent_check` the check of a record in the canonical form. A dead letter that is no longer there `is_given_up`, or is
 *   stored under its `replayed_id`
 * - verify_verdicts: what became of each record; `stored_id` is the id of its row
 * - verify_acked, verify_acked_verdicts: lines of the ack file, and what became of each
 *
 * These grow, on disk, and are only inserted into:
 * - verify_matched: the ids of records found stored, 16 bytes each (one array per range)
 * - verify_pending: lines that were neither stored nor dead-lettered when they were first looked up
 * - verify_places: coordinates and verdicts of records with the id of such a line that are not simply stored
 */
export const TABLES = `
CREATE TEMP TABLE verify_records (partition int, "offset" bigint, timestamp_ms bigint, is_unread boolean,
  coordinate_id uuid, sent_check bigint, value bytea, is_given_up boolean, replayed_id uuid) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE verify_verdicts (partition int, "offset" bigint, event_id uuid, stored_id uuid, verdict text, why text)
  ON COMMIT DELETE ROWS;
CREATE TEMP TABLE verify_acked (line bigint, event_id text, value bytea) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE verify_acked_verdicts (line bigint, event_id text, partition int, "offset" bigint, verdict text,
  why text) ON COMMIT DELETE ROWS;
CREATE TEMP TABLE verify_matched (event_ids uuid[] STORAGE EXTERNAL);
CREATE TEMP TABLE verify_pending (line bigint PRIMARY KEY, event_id uuid, text text, value bytea);
CREATE TEMP TABLE verify_places (event_id uuid, partition int, "offset" bigint, verdict text);
CREATE INDEX ON verify_pending (event_id);
CREATE INDEX ON verify_places (event_id);
${FUNCTIONS}`

/**
 * Locks the table of ids that have no partition yet ($1: such an id) until the transaction ends, so that maintenance moves no
 * rows meanwhile. (A query that waits for such a move does not find them: it has chosen its partitions before.)
 */
export const KEEP_ROWS_IN_PLACE = 'SELECT FROM events WHERE event_id = $1'

/** The sink's offsets of this topic ($1), under any cluster. */
export const SINK_OFFSETS = `SELECT cluster_id, partition, next_offset::text FROM sink_offsets WHERE topic = $1`

/** Whether a unique index on event_id alone exists; without one, an id could be stored twice. */
export const HAS_UNIQUE_ID = `
SELECT EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname = 'event_id'
  WHERE i.indrelid = 'events'::regclass AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
    AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum) AS is_unique`
export const STORED_TWICE = `
SELECT event_id FROM events GROUP BY event_id HAVING count(*) > 1 LIMIT $1`
