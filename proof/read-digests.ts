import type { KafkaConnection } from '../runtime/kafka-client.ts'
import { digestOf } from '../sink-worker/partition.ts'
import { readTopic } from './read-topic.ts'

/** Kafka does not answer for so long: there is no record to read at an offset. */
const STUCK_MS = 5_000

/** The digest of the record at one offset of each partition; a partition where none is, is left out. */
export async function readDigests(
  { brokers, ssl, sasl }: KafkaConnection,
  topic: string,
  offsets: ReadonlyMap<number, bigint>,
): Promise<Map<number, Buffer>> {
  const digests = new Map<number, Buffer>()
  const ranges = [...offsets].map(([partition, offset]) => ({ partition, low: offset, high: offset + 1n }))
  const access = {
    brokers,
    ...(ssl === undefined ? {} : { ssl }),
    ...(sasl === undefined ? {} : { sasl }),
  }
  await readTopic(access, topic, ranges, {
    stuckMs: STUCK_MS,
    onRecords: async (records) => {
      for (const record of records) digests.set(record.partition, digestOf(record))
    },
  })
  return digests
}
