-- The optional fields of an event, and who sent it (CAPTURE_CLIENT). Nullable columns without defaults: instant, whatever
-- the size of the table. COLLATE "C" compares bytes: faster, and no index on them depends on the server's locales.
ALTER TABLE events
  ALTER COLUMN user_id DROP NOT NULL, -- an anonymous visitor has none
  ADD COLUMN anonymous_id text COLLATE "C",
  ADD COLUMN event_name text COLLATE "C",
  ADD COLUMN event_type text COLLATE "C",
  ADD COLUMN session_id text COLLATE "C",
  ADD COLUMN source text COLLATE "C",
  ADD COLUMN ip_address inet,
  ADD COLUMN user_agent text COLLATE "C";

-- Only of an empty table: building an index stops all writes to it meanwhile. For others, the doctor gives the statement
-- that builds the missing one while the sinks go on; their index on user_id stays as it is, as do those of partitions.
DO $$
BEGIN
  IF EXISTS (SELECT FROM events) OR EXISTS (SELECT FROM pg_class WHERE oid = 'events'::regclass AND relkind = 'p') THEN
    RETURN;
  END IF;
  DROP INDEX IF EXISTS events_user_id_timestamp_idx;
  CREATE INDEX events_user_id_timestamp_idx ON events (user_id, "timestamp") WHERE user_id IS NOT NULL;
  CREATE INDEX events_anonymous_id_timestamp_idx ON events (anonymous_id, "timestamp") WHERE anonymous_id IS NOT NULL;
END $$;
