import type { Admin, Kafka } from 'kafkajs'
import { kafkaErrorType } from './errors.ts'

export interface TopicConfig {
  name: string
  partitions: number
  replicationFactor: number
  retentionMs: number
}

/**
 * Creates the topic if it is missing. It is never compacted: every record must be kept.
 *
 * @returns true if the topic was created by this call
 */
export async function createTopicIfMissing(kafka: Kafka, topic: TopicConfig): Promise<boolean> {
  const admin = kafka.admin()
  try {
    await admin.connect()
    if (await topicExists(admin, topic.name)) return false
    return await admin.createTopics({
      waitForLeaders: true,
      topics: [
        {
          topic: topic.name,
          numPartitions: topic.partitions,
          replicationFactor: topic.replicationFactor,
          configEntries: [
            { name: 'cleanup.policy', value: 'delete' },
            { name: 'retention.ms', value: String(topic.retentionMs) },
          ],
        },
      ],
    })
  } finally {
    await admin.disconnect()
  }
}

/** Requests the metadata of this topic only: listing all topics fails if a partition of any topic has no leader. */
async function topicExists(admin: Admin, name: string): Promise<boolean> {
  try {
    await admin.fetchTopicMetadata({ topics: [name] })
    return true
  } catch (error) {
    const type = kafkaErrorType(error)
    if (type === 'UNKNOWN_TOPIC_OR_PARTITION') return false
    if (type === 'LEADER_NOT_AVAILABLE') return true
    throw error
  }
}
