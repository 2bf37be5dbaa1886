-- A check of what the client sent: the byte length (upper 32 bits) and the CRC-32 (lower 32 bits) of the canonical record
-- without what the API sets (event/record/sent-check.ts). A repeated event is recognised by it even if a trigger or an
-- UPDATE has changed its row since. Null in rows that are older than this column.
ALTER TABLE events ADD COLUMN sent_check bigint;
