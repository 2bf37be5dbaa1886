import { Kafka, logLevel } from 'kafkajs'
import { encodeRecord, receivedAt } from '../../event/record/encode.ts'
import { parseEvent } from '../../producer-api/intake/parse-body.ts'
import { eventOf, openRun } from '../load/events.ts'
import type { Pipeline } from '../stack/pipeline.ts'

const RECORDS_A_SEND = 500

const TOPIC = 'events'
const LAST_WORDS_MS = 10_000

/**
 * Makes the topic, as the sink does, and writes records into it as the API makes them: in the order of their ids, batches
 * to the partitions in turn.
 */
export async function writeBacklog(pipeline: Pipeline, records: number): Promise<void> {
  await (await pipeline.startSink()).stop(LAST_WORDS_MS)
  const partitions = (await pipeline.ends()).length
  const { bootstrapServers } = pipeline.backend.kafka
  const kafka = new Kafka({
    brokers: [bootstrapServers],
    clientId: 'firehose-bench',
    logLevel: logLevel.NOTHING,
  })
  const producer = kafka.producer()
  const run = openRun({ seed: 'backlog', startedAtMs: Date.now() - 3_600_000 })
  await producer.connect()
  try {
    for (let first = 0, send = 0; first < records; first += RECORDS_A_SEND, send += 1) {
      const received = receivedAt(run.startedAtMs + Math.floor(first / 10))
      const messages = Array.from({ length: Math.min(RECORDS_A_SEND, records - first) }, (_, n) => ({
        value: recordOf(eventOf(run, first + n).body, received),
        partition: send % partitions,
      }))
      await producer.send({ topic: TOPIC, acks: -1, messages })
    }
  } finally {
    await producer.disconnect()
  }
}

/** What a record takes on average. */
export function averageRecordBytes(): number {
  const run = openRun({ seed: 'backlog', startedAtMs: Date.now() })
  const sizes = Array.from({ length: 2_000 }, (_, n) => recordOf(eventOf(run, n).body, receivedAt(0)).length)
  return Math.round(sizes.reduce((sum, size) => sum + size, 0) / sizes.length)
}

function recordOf(body: string, received: string): Buffer {
  const parsed = parseEvent(Buffer.from(body), { newId: () => '' })
  const event = parsed.ok ? parsed.events[0] : undefined
  if (event === undefined) throw new Error(`not an event: ${body}`)
  return encodeRecord(event, received)
}
