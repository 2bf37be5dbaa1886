/** The table `events` as the sink sees it. Columns that the user added are none of its business. */

/** The columns that the sink writes, in the order in which rows are encoded. */
export const EVENT_COLUMNS = 'event_id, user_id, "timestamp", metadata, received_at'

/** The same columns with their types as PostgreSQL spells them, by name. */
export const EVENT_COLUMN_TYPES = [
  'event_id uuid',
  'metadata jsonb',
  'received_at timestamp with time zone',
  'timestamp timestamp with time zone',
  'user_id bigint',
].join(', ')

/** Answers one row, `types`, to be compared with EVENT_COLUMN_TYPES. */
export const READ_EVENT_COLUMN_TYPES = `
  SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attname) AS types
  FROM pg_attribute WHERE attrelid = 'events'::regclass AND NOT attisdropped
    AND attname IN ('event_id', 'user_id', 'timestamp', 'metadata', 'received_at')`
