import type { Logger } from '../platform/log.ts'
import type { KafkaConnection } from './client.ts'
import { withClusterInspector } from './cluster-inspector.ts'
import { type TailedRecord, TopicTail } from './topic-tail.ts'
import type { Watermarks } from './topic-ends.ts'

/** Fetches after which reading ends, whatever is missing: markers of transactions are never reported. */
const MOST_ROUNDS = 20
/** A new connection may meet one broker that is down. */
const MOST_FAILURES = 3

export interface LatestRecords {
  clusterId: string
  /** In order within each partition; none if the topic is empty. */
  records: TailedRecord[]
}

/**
 * Reads the latest committed records of each partition, without a consumer group.
 *
 * @param most for each partition
 * @returns undefined if there is no such topic
 * @throws Kafka is unreachable or refuses
 */
export async function readLatestRecords(
  connection: KafkaConnection,
  topic: string,
  most: number,
  clientId: string,
  logger: Logger,
): Promise<LatestRecords | undefined> {
  const found = await withClusterInspector(
    connection,
    clientId,
    logger,
    async (cluster) => await cluster.topic(topic),
  )
  if (found === undefined) return undefined
  const from = new Map([...found.ends].map(([partition, ends]) => [partition, startOf(ends, most)]))
  const tail = new TopicTail(connection, topic, from, clientId, logger)
  try {
    await tail.connect()
    return { clusterId: found.clusterId, records: await readTo(tail, found.ends) }
  } finally {
    await tail.close().catch(() => {})
  }
}

function startOf({ low, lastStable }: Watermarks, most: number): bigint {
  const start = lastStable - BigInt(most)
  return start > low ? start : low
}

/** Reads until every partition is at its end, or a round brings nothing. @throws the failure of a fetch */
async function readTo(tail: TopicTail, ends: ReadonlyMap<number, Watermarks>): Promise<TailedRecord[]> {
  const unread = new Map([...ends].filter(([, { low, lastStable }]) => low < lastStable))
  const read: TailedRecord[] = []
  let failed = 0
  for (let round = 1; unread.size > 0 && round <= MOST_ROUNDS; round++) {
    const { records, failures } = await tail.read()
    for (const record of records) {
      const end = ends.get(record.partition)?.lastStable ?? 0n
      if (record.offset < end) read.push(record)
      if (record.offset + 1n >= end) unread.delete(record.partition)
    }
    if (failures.length > 0 && ++failed === MOST_FAILURES) throw failures[0]
    if (failures.length === 0 && records.length === 0) break
  }
  return read
}
