-- Records that cannot be a row of events, with the reason. Rows are never deleted by Firehose.
CREATE TABLE dead_letters (
  cluster_id   text        NOT NULL,
  topic        text        NOT NULL,
  partition    integer     NOT NULL,
  "offset"     bigint      NOT NULL,
  event_id     uuid,                -- null if it could not be read
  value        bytea,               -- the record's raw bytes; null if it had none or they are more than 1 MiB
  value_bytes  bigint      NOT NULL DEFAULT 0,
  value_sha256 bytea,               -- only of a value of more than 1 MiB, which stays in Kafka
  headers      jsonb       NOT NULL DEFAULT '{}',
  reason       text        NOT NULL,
  sqlstate     text,
  message      text        NOT NULL,
  created_at   timestamptz NOT NULL DEFAULT now(),
  state        text        NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'replayed', 'discarded')),
  PRIMARY KEY (cluster_id, topic, partition, "offset")
);
CREATE INDEX dead_letters_open_idx ON dead_letters (created_at) WHERE state = 'open';
CREATE INDEX dead_letters_event_id_idx ON dead_letters (event_id) WHERE event_id IS NOT NULL;
