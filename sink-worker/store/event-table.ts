/* The table `events` as the sink uses it. It ignores columns that the user added. */

/** The columns that the sink writes, in the order of the encoded rows. */
export const EVENT_COLUMNS = 'event_id, user_id, "timestamp", metadata, received_at'

/** The same columns, sorted by name, with their types as format_type() spells them. */
export const EVENT_COLUMN_TYPES = [
  'event_id uuid',
  'metadata jsonb',
  'received_at timestamp with time zone',
  'timestamp timestamp with time zone',
  'user_id bigint',
].join(', ')

/** Returns one row with the column `types`, to compare with EVENT_COLUMN_TYPES. */
export const READ_EVENT_COLUMN_TYPES = `
  SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' ORDER BY attname) AS types
  FROM pg_attribute WHERE attrelid = 'events'::regclass AND NOT attisdropped
    AND attname IN ('event_id', 'user_id', 'timestamp', 'metadata', 'received_at')`
