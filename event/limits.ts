/**
 * What one event, one request and one Kafka message may hold. Sizes are bytes. Both services use them, so that
 * what the API lets in can never be too much for the sink.
 */

/**
 * Levels of nesting in one event, the event object itself being the first. PostgreSQL's parser recurses and gives up
 * between 10,000 and 20,000 levels (tried on 18, max_stack_depth 2 MB, the default); people nest to about ten.
 */
export const MAX_DEPTH = 200

/** Events in one POST /events. All of them go into one Kafka message batch, so more would only mean larger sends. */
export const MAX_BATCH_EVENTS = 1_000

/** Faults listed in one answer: enough to mend a client, too few to make a large answer out of a small request. */
export const MAX_FAULTS = 100

/** Characters of all pointers in one answer: names that a client chose, each up to the length of an event. */
export const POINTER_BUDGET = 16 * 1024

/**
 * One event, from its opening to its closing brace. 64 KiB is 250 times a usual event. It also keeps every stored
 * row readable: nine bytes such as `9e131071,` print as 131,073 digits and separators, so an event twice this size
 * could pass PostgreSQL's 1 GB limit of a text value when its jsonb is read.
 */
export const MAX_EVENT_BYTES = 64 * 1024

/** Body of POST /event: the event, with room for a pretty printer's spaces around it. */
export const MAX_EVENT_BODY_BYTES = MAX_EVENT_BYTES + 1024

/**
 * Encoded records of one POST /events, with Kafka's framing. They are one message batch, never split, and the broker
 * refuses a batch past the topic's max.message.bytes: 1,048,588 by default (1 MiB + 12 bytes). The rest is a margin
 * for topics made with a round 1,000,000.
 */
export const MAX_ENCODED_BATCH_BYTES = 900 * 1024

/**
 * Upper bound of what Kafka's record format (v2) adds to one record without key and headers: length (5),
 * attributes (1), timestamp delta (10), offset delta (5), key length (1), value length (5), header count (1).
 */
export const RECORD_OVERHEAD_BYTES = 28

/** Body of POST /events. A record is about as long as the event in the request, so more could never be sent. */
export const MAX_BATCH_BODY_BYTES = 1024 * 1024
