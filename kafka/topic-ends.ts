import type { Admin } from 'kafkajs'
import { pastOpenTransactions } from './patches.ts'

/** The offset range of a partition. */
export interface Watermarks {
  /** The first retained offset. */
  low: bigint
  /** The last stable offset: records before it can be read. Less than `high` while a transaction is open. */
  lastStable: bigint
  /** The high watermark: the offset after the last record. */
  high: bigint
}

/**
 * Fetches the offset range of each partition. The admin of kafkajs calls the last stable offset "high".
 *
 * @throws kafkajs errors; of type UNKNOWN_TOPIC_OR_PARTITION if the topic does not exist
 */
export async function fetchTopicEnds(admin: Admin, topic: string): Promise<Map<number, Watermarks>> {
  // The high watermark is fetched first, so that records appended in between do not look like an open transaction.
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
