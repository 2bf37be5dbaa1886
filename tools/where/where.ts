import { type ColumnName, columnsFor } from '../../event/fields.ts'
import type { KafkaConnection } from '../../kafka/client.ts'
import { withClusterInspector } from '../../kafka/cluster-inspector.ts'
import { rootMessage } from '../../kafka/errors.ts'
import { createLogger } from '../../platform/log.ts'
import type { Database } from '../../postgres/database.ts'
import { type SinkOffset, unstoredRecords } from '../verify/sink-bounds.ts'
import { SINK_OFFSETS } from '../verify/verify-sql.ts'

/** The columns of the optional fields, besides user_id. */
export const OPTIONAL = columnsFor('bigint')
  .filter(({ name, missing }) => missing === 'null' && name !== 'user_id')
  .map(({ name }) => name)

/** The row of an event, with the values as PostgreSQL writes them; times in UTC. */
export interface StoredEvent extends Readonly<Partial<Record<ColumnName, string | null>>> {
  user_id: string | null
  /** The same as JSON: digits, a string or null. */
  user_id_json: string
  timestamp: string
  received_at: string
  /** JSON; null unless it was asked for. */
  metadata: string | null
}

/** A dead letter with the id. */
export interface FoundLetter {
  cluster_id: string
  topic: string
  partition: number
  offset: string
  reason: string
  state: string
  sqlstate: string | null
  message: string
  created_at: string
}

/** How many records of the topic are not stored yet, or one sentence about why that is not known. */
export type NotStored = { count: bigint } | { unknown: string }

/** Where an event is. */
export interface Whereabouts {
  eventId: string
  row: StoredEvent | undefined
  letters: FoundLetter[]
  /** Undefined if the event was found. */
  notStored: NotStored | undefined
}

export interface WhereOptions {
  eventId: string
  topic: string
  kafka: KafkaConnection
  withMetadata: boolean
}

const UTC = `'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'`
const ROW = `SELECT user_id::text, coalesce(to_json(user_id)::text, 'null') AS user_id_json, ${OPTIONAL.join(', ')}, to_char("timestamp" AT TIME ZONE 'UTC', ${UTC}) AS "timestamp",
  to_char(received_at AT TIME ZONE 'UTC', ${UTC}) AS received_at, CASE WHEN $2 THEN metadata::text END AS metadata
  FROM events WHERE event_id = $1`
const LETTERS = `SELECT cluster_id, topic, partition, "offset"::text, reason, state, sqlstate, message,
  to_char(created_at AT TIME ZONE 'UTC', ${UTC}) AS created_at
  FROM dead_letters WHERE event_id = $1 ORDER BY dead_letters.created_at, cluster_id, topic, partition, dead_letters."offset"`

/**
 * Looks an event up in the tables. If it is in none, finds out how far the sink is: the offsets are of the same snapshot,
 * and the ends of the topic are queried afterwards, so if nothing is left to store, no record was overlooked.
 *
 * @throws PostgreSQL's error
 */
export async function findEvent(database: Database, options: WhereOptions): Promise<Whereabouts> {
  const { eventId, topic, withMetadata } = options
  await database.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY')
  const [row] = (await database.query<StoredEvent>(ROW, [eventId, withMetadata])).rows
  const letters = (await database.query<FoundLetter>(LETTERS, [eventId])).rows
  const offsets = (await database.query<SinkOffset>(SINK_OFFSETS, [topic])).rows
  await database.query('COMMIT')
  const isFound = row !== undefined || letters.length > 0
  return { eventId, row, letters, notStored: isFound ? undefined : await notStored(offsets, options) }
}

async function notStored(offsets: readonly SinkOffset[], { topic, kafka }: WhereOptions): Promise<NotStored> {
  try {
    const logger = createLogger('where', 'silent')
    const found = await withClusterInspector(
      kafka,
      'firehose-where',
      logger,
      async (cluster) => await cluster.topic(topic),
    )
    if (found === undefined) return { unknown: `Kafka has no topic "${topic}"` }
    const ends = [...found.ends].map(([partition, end]) => ({ partition, ...end }))
    return { count: unstoredRecords(ends, offsets, found.clusterId) }
  } catch (error) {
    return { unknown: `Kafka cannot be reached (${rootMessage(error)})` }
  }
}
