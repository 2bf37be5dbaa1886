-- The user's table. Users may add columns with defaults, generated columns, indexes and triggers: the sink names the
-- columns that it writes. The primary key is event_id alone, so that the table can later be partitioned by RANGE of
-- event_id (a day is a range of UUIDv7) and event_id stays unique in the whole table.
CREATE TABLE events (
  event_id    uuid        PRIMARY KEY,
  user_id     bigint      NOT NULL,
  "timestamp" timestamptz NOT NULL,
  metadata    jsonb       NOT NULL,
  received_at timestamptz NOT NULL
);
CREATE INDEX events_user_id_timestamp_idx ON events (user_id, "timestamp");
CREATE INDEX events_timestamp_idx ON events USING brin ("timestamp");
