import type { Admin } from 'kafkajs'
import { pastOpenTransactions } from './patches.ts'

/** What Kafka holds of a partition. */
export interface Watermarks {
  /** The first retained offset. */
  low: bigint
  /** The last stable offset: up to here (exclusive) it may be read. Below `high` while a transaction is open. */
  lastStable: bigint
  /** The high watermark: the offset after the last record. */
  high: bigint
}

/**
 * Asks for the ends of each partition. kafkajs calls the last stable offset "high".
 *
 * @throws kafkajs' errors; one of the type UNKNOWN_TOPIC_OR_PARTITION when there is no such topic
 */
export async function fetchTopicEnds(admin: Admin, topic: string): Promise<Map<number, Watermarks>> {
  // In this order: what is appended in between must not seem to be held back.
  const ends = await pastOpenTransactions(async () => await admin.fetchTopicOffsets(topic))
  const high = new Map(ends.map((end) => [end.partition, BigInt(end.high)]))
  const readable = await admin.fetchTopicOffsets(topic)
  return new Map(
    readable.map((end) => {
      const lastStable = BigInt(end.high)
      const earlier = high.get(end.partition) ?? lastStable
      return [
        end.partition,
        { low: BigInt(end.low), lastStable, high: earlier > lastStable ? earlier : lastStable },
      ]
    }),
  )
}
