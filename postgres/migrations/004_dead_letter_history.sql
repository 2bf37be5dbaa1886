-- The record's Kafka timestamp, milliseconds since 1970 (-1: none): the received_at of an event without one. Null in
-- letters that are older than this column.
ALTER TABLE dead_letters ADD COLUMN timestamp_ms bigint;

-- What was done about dead letters: one row for each letter and attempt, written in the same transaction, never changed
-- or deleted. In dead_letters itself only `state` changes. No foreign key, so that TRUNCATE dead_letters stays possible.
CREATE TABLE dead_letter_history (
  id          bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  cluster_id  text        NOT NULL,
  topic       text        NOT NULL,
  partition   integer     NOT NULL,
  "offset"    bigint      NOT NULL,
  at          timestamptz NOT NULL DEFAULT now(),
  by          text        NOT NULL DEFAULT session_user,
  action      text        NOT NULL CHECK (action IN ('replay', 'discard')),
  outcome     text        NOT NULL CHECK (outcome IN ('stored', 'already_stored', 'refused', 'discarded')),
  event_id    uuid,                -- of the row in events, if there is one
  reason      text,                -- of a refusal, as in dead_letters
  sqlstate    text,
  message     text                 -- of a refusal; why it was discarded; how the stored row differs from the record
);
CREATE INDEX dead_letter_history_letter_idx ON dead_letter_history (cluster_id, topic, partition, "offset");
