import { setTimeout as delay } from 'node:timers/promises'
import type { TopicIdentity } from '../../event/record/decoded.ts'
import type { KafkaConnection } from '../../kafka/client.ts'
import { withClusterInspector } from '../../kafka/cluster-inspector.ts'
import { rootMessage } from '../../kafka/errors.ts'
import type { TopicRecord } from '../../kafka/topic-reader.ts'
import { TopicTail } from '../../kafka/topic-tail.ts'
import { createLogger } from '../../platform/log.ts'

export interface TailOptions {
  connection: KafkaConnection
  topic: string
  /** Ends after this many records. */
  limit: number
  /** Ends without an error. */
  signal: AbortSignal
  /** Called once, before the first record; every record that is sent afterwards is reported. */
  onStart: (partitions: number) => void
  onRecord: (record: TopicRecord, identity: TopicIdentity) => void | Promise<void>
  /** Called with one sentence when Kafka stops answering, and when it answers again. */
  onTrouble: (sentence: string) => void
}

const CLIENT_ID = 'firehose-tail'
const RETRY_MS = 1_000

/**
 * Reports the records of a topic from its end on, as they arrive. Waits for as long as Kafka is unavailable, and then
 * reads on where it was.
 *
 * @throws at the start, if Kafka is unavailable or the topic does not exist
 */
export async function tail(options: TailOptions): Promise<void> {
  const { connection, topic } = options
  const logger = createLogger('tail', 'silent')
  const found = await withClusterInspector(
    connection,
    CLIENT_ID,
    logger,
    async (cluster) => await cluster.topic(topic),
  )
  if (found === undefined) throw new Error(`Kafka has no topic "${topic}"`)
  const { clusterId } = found
  const from = new Map([...found.ends].map(([partition, { high }]) => [partition, high]))
  const source = new TopicTail(connection, topic, from, CLIENT_ID, logger)
  try {
    await source.connect()
    options.onStart(from.size)
    await follow(source, { clusterId, topic }, options)
  } finally {
    await source.close()
  }
}

async function follow(source: TopicTail, identity: TopicIdentity, options: TailOptions): Promise<void> {
  const { limit, signal, onRecord, onTrouble } = options
  let left = limit
  let trouble = ''
  while (left > 0 && !signal.aborted) {
    const { records, failures } = await source.read()
    for (const record of records.slice(0, left)) {
      if (signal.aborted) return
      await onRecord(record, identity)
    }
    left -= records.length
    const now = failures.length === 0 ? '' : rootMessage(failures[0])
    if (now !== trouble) {
      onTrouble(now === '' ? 'Kafka answers again.' : `Kafka cannot be read, trying again: ${now}`)
      trouble = now
    }
    if (failures.length > 0) await delay(RETRY_MS, undefined, { signal }).catch(() => {})
  }
}
