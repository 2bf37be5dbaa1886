-- BRINs that late rows do not spoil (several intervals for each range of pages), and that cover new pages at once. On
-- received_at, too, by which old rows are found. Only of an empty table: building an index stops all writes to it meanwhile.
-- For others, the doctor gives the statements that build them while the sinks go on.
DO $$
BEGIN
  IF EXISTS (SELECT FROM events) OR EXISTS (SELECT FROM pg_class WHERE oid = 'events'::regclass AND relkind = 'p') THEN
    RETURN;
  END IF;
  DROP INDEX IF EXISTS events_timestamp_idx;
  CREATE INDEX events_timestamp_idx ON events USING brin ("timestamp" timestamptz_minmax_multi_ops) WITH (autosummarize = on);
  CREATE INDEX IF NOT EXISTS events_received_at_idx ON events USING brin (received_at timestamptz_minmax_multi_ops) WITH (autosummarize = on);
END $$;
