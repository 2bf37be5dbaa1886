-- What has been written, updated in the transaction that writes it (the fence: sink-worker/store/fence.ts).
-- last_offset and last_digest (SHA-256 of the value) identify the last record written, to detect a recreated topic.
CREATE TABLE sink_offsets (
  cluster_id  text        NOT NULL,
  topic       text        NOT NULL,
  partition   integer     NOT NULL,
  next_offset bigint      NOT NULL CHECK (next_offset >= 0),
  last_offset bigint,
  last_digest bytea,
  updated_at  timestamptz NOT NULL DEFAULT now(),
  PRIMARY KEY (cluster_id, topic, partition)
) WITH (fillfactor = 50); -- updated with every batch: room for HOT updates on the page
