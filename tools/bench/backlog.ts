import { encodeRecord, encodeRecords, receivedAt } from '../../event/record/encode.ts'
import type { CanonicalEvent } from '../../event/fields.ts'
import { createKafka } from '../../kafka/client.ts'
import { KafkaPublisher } from '../../kafka/producer/kafka-publisher.ts'
import { createLogger } from '../../platform/log.ts'
import { parseEvent } from '../../producer-api/intake/parse-body.ts'
import { eventOf, type Events, openRun, plainEvents, type Run } from '../load/events.ts'
import type { Pipeline } from '../stack/pipeline.ts'

const RECORDS_A_SEND = 500

const LAST_WORDS_MS = 10_000

export interface BacklogOptions {
  topic?: string
  /** What the records are made of. */
  eventsOf?: (run: Run) => Events
  /** The time of the first id, in milliseconds since 1970; an hour ago by default. */
  startedAtMs?: number
}

/**
 * Creates the topic as the sink does and writes records as the API does: in the order of their ids, in batches that go
 * to the partitions in turn.
 */
export async function writeBacklog(
  pipeline: Pipeline,
  records: number,
  {
    topic: name = 'events',
    eventsOf = plainEvents,
    startedAtMs = Date.now() - 3_600_000,
  }: BacklogOptions = {},
): Promise<void> {
  await (await pipeline.startSink({ KAFKA_TOPIC: name })).stop(LAST_WORDS_MS)
  const partitions = (await pipeline.ends(name)).length
  const { bootstrapServers } = pipeline.backend.kafka
  const connection = { brokers: [bootstrapServers], ssl: false, sasl: undefined }
  const logger = createLogger('bench', 'silent')
  const topic = { name, partitions, replicationFactor: 1, retentionMs: -1 }
  const publisher = new KafkaPublisher(createKafka(connection, 'firehose-bench', logger), topic, logger)
  const run = openRun({ seed: 'backlog', startedAtMs })
  const sent = eventsOf(run)
  await new Promise<void>((resolve) => {
    publisher.connect(() => publisher.availablePartitions().length === partitions && resolve())
  })
  try {
    for (let first = 0, send = 0; first < records; first += RECORDS_A_SEND, send += 1) {
      const received = receivedAt(run.startedAtMs + Math.floor(first / 10))
      const count = Math.min(RECORDS_A_SEND, records - first)
      const events = Array.from({ length: count }, (_, n) => parsed(sent.of(first + n).body))
      await publisher.publish(send % partitions, [encodeRecords(events, received)])
    }
  } finally {
    await publisher.close()
  }
}

/** Average size of a record in bytes. */
export function averageRecordBytes(): number {
  const run = openRun({ seed: 'backlog', startedAtMs: Date.now() })
  const sizes = Array.from({ length: 2_000 }, (_, n) => recordOf(eventOf(run, n).body, receivedAt(0)).length)
  return Math.round(sizes.reduce((sum, size) => sum + size, 0) / sizes.length)
}

/** The record of an event, as the API writes it. */
export function recordOf(body: string, received: string): Buffer {
  return encodeRecord(parsed(body), received)
}

function parsed(body: string): CanonicalEvent {
  const result = parseEvent(Buffer.from(body), { newId: () => '', userIdType: 'bigint' })
  const event = result.ok ? result.events[0] : undefined
  if (event === undefined) throw new Error(`not an event: ${body}`)
  return event
}
