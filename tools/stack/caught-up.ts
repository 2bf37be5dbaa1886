import type { ClientBase, Pool } from 'pg'
import { createKafka } from '../../kafka/client.ts'
import { createLogger } from '../../platform/log.ts'

/** Whether the sink has stored every record of the topic: all offsets are at the end of their partitions. */
export async function isCaughtUp(brokers: string[], db: Pool | ClientBase, topic: string): Promise<boolean> {
  const ends = await endsOf(brokers, topic)
  const { rows } = await db.query<{ partition: number; next_offset: string }>(
    'SELECT partition, next_offset FROM sink_offsets WHERE topic = $1',
    [topic],
  )
  const next = new Map(rows.map((row) => [row.partition, BigInt(row.next_offset)]))
  return ends.every((end, partition) => (next.get(partition) ?? 0n) === end)
}

/** The end offset of each partition, in order of partitions. */
export async function endsOf(brokers: string[], topic: string): Promise<bigint[]> {
  const connection = { brokers, ssl: false, sasl: undefined }
  const admin = createKafka(connection, 'firehose-proof', createLogger('proof', 'silent')).admin()
  await admin.connect()
  try {
    const offsets = await admin.fetchTopicOffsets(topic)
    return offsets.toSorted((a, b) => a.partition - b.partition).map(({ high }) => BigInt(high))
  } finally {
    await admin.disconnect()
  }
}
