import type { Admin, Kafka } from 'kafkajs'
import type { Logger } from '../platform/log.ts'
import { kafkaErrorType } from './errors.ts'

export interface TopicConfig {
  name: string
  partitions: number
  replicationFactor: number
  retentionMs: number
}

/**
 * Kafka puts its own time into the records, by which they expire. With the API's time, one whose clock is a week behind
 * would lose acknowledged events at once.
 */
const APPEND_TIME = { name: 'message.timestamp.type', value: 'LogAppendTime' }
/** How a cluster refuses a setting, or all settings but some. */
const REFUSES_SETTING = ['INVALID_CONFIG', 'POLICY_VIOLATION']

/**
 * Creates the topic if it is missing, and logs it. It is never compacted: every record must be kept.
 *
 * @returns true if the topic was created by this call
 */
export async function createTopicIfMissing(
  kafka: Kafka,
  topic: TopicConfig,
  logger: Logger,
): Promise<boolean> {
  const admin = kafka.admin()
  try {
    await admin.connect()
    if (await topicExists(admin, topic.name)) return false
    const created = await createTopic(admin, topic, logger)
    if (created) logger.info({ topic: topic.name, partitions: topic.partitions }, 'topic created')
    return created
  } finally {
    await admin.disconnect()
  }
}

async function createTopic(admin: Admin, topic: TopicConfig, logger: Logger): Promise<boolean> {
  const create = async (...more: { name: string; value: string }[]): Promise<boolean> =>
    await admin.createTopics({
      waitForLeaders: true,
      topics: [
        {
          topic: topic.name,
          numPartitions: topic.partitions,
          replicationFactor: topic.replicationFactor,
          configEntries: [
            { name: 'cleanup.policy', value: 'delete' },
            { name: 'retention.ms', value: String(topic.retentionMs) },
            ...more,
          ],
        },
      ],
    })
  try {
    return await create(APPEND_TIME)
  } catch (error) {
    if (!refusesSetting(error)) throw error
    const created = await create() // if another setting is refused, this fails in the same way
    logger.warn(
      { topic: topic.name },
      `Kafka refuses ${APPEND_TIME.name}=${APPEND_TIME.value}, so the topic was created without it: records expire by the clock of the API that wrote them; see "Clocks" in docs/OPERATIONS.md`,
    )
    return created
  }
}

function refusesSetting(error: unknown): boolean {
  const { errors = [error] } = error as { errors?: unknown[] }
  return errors.some((each) => REFUSES_SETTING.includes(kafkaErrorType(each) ?? ''))
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
