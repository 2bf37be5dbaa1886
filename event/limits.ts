/**
 * Limits of an event, a request and a Kafka message, in bytes unless stated otherwise. Both services use them, so that
 * the sink can process whatever the API accepts.
 */

/**
 * Levels of nesting in an event, including the event object itself. PostgreSQL's recursive parser fails between 10,000
 * and 20,000 levels (measured on version 18 with the default max_stack_depth of 2 MB); real events have about ten.
 */
export const MAX_DEPTH = 200

/** Events in one POST /events. All of them go into one Kafka record batch, so more would only make it larger. */
export const MAX_BATCH_EVENTS = 1_000

/** Faults listed in one response: enough to fix a client, too few to turn a small request into a large response. */
export const MAX_FAULTS = 100

/** Characters of all pointers in one response. They contain names chosen by the client, each up to the size of an event. */
export const POINTER_BUDGET = 16 * 1024

/**
 * One event, from its opening to its closing brace. 64 KiB is 250 times the size of a typical event. The limit also keeps
 * every stored row readable: the nine bytes `9e131071,` are printed with 131,073 characters, so an event of twice this
 * size could exceed PostgreSQL's limit of 1 GB for a text value when its jsonb is read.
 */
export const MAX_EVENT_BYTES = 64 * 1024

/** Body of POST /event: the event, with room for white space around it. */
export const MAX_EVENT_BODY_BYTES = MAX_EVENT_BYTES + 1024

/**
 * Encoded records of one POST /events, including Kafka's framing. They are sent as one record batch, and the broker
 * rejects a batch larger than the topic's max.message.bytes, 1,048,588 by default (1 MiB + 12 bytes). The margin also
 * allows for topics that are configured with 1,000,000.
 */
export const MAX_ENCODED_BATCH_BYTES = 900 * 1024

/**
 * Upper bound of the overhead of a record without key and headers in Kafka's record format v2: length (5),
 * attributes (1), timestamp delta (10), offset delta (5), key length (1), value length (5), header count (1).
 */
export const RECORD_OVERHEAD_BYTES = 28

/** Body of POST /events. A record is about as long as its event in the request, so a larger body could not be sent. */
export const MAX_BATCH_BODY_BYTES = 1024 * 1024
