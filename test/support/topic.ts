import kafkajs, { type Admin } from 'kafkajs'
import type { Pipeline } from '../../tools/stack/pipeline.ts'
import { kafkaClient } from './records.ts'
import { until } from './until.ts'

/** Runs `work` with a connected admin client. */
export async function withAdmin<T>(bootstrapServers: string, work: (admin: Admin) => Promise<T>): Promise<T> {
  const admin = kafkaClient(bootstrapServers).admin()
  await admin.connect()
  try {
    return await work(admin)
  } finally {
    await admin.disconnect()
  }
}

/** Creates the topic `events`, after waiting for the deletion of an old one. */
export async function createTopic(
  bootstrapServers: string,
  numPartitions = 1,
  configEntries: { name: string; value: string }[] = [],
): Promise<void> {
  await withAdmin(bootstrapServers, async (admin) => {
    let mayBeOurs = false
    await until('the old topic is gone', async () => {
      try {
        const topics = [{ topic: 'events', numPartitions, configEntries }]
        return (await admin.createTopics({ topics, waitForLeaders: false })) || mayBeOurs
      } catch {
        mayBeOurs = true // created, but the response was lost
        return false
      }
    })
    await until('all partitions have leaders', async () => {
      const metadata = await admin.fetchTopicMetadata({ topics: ['events'] }).catch(() => undefined)
      return metadata?.topics[0]?.partitions.every(({ leader }) => leader >= 0)
    })
  })
}

/** Deletes the topic `events`, if it exists, and waits until it is gone. */
export async function deleteTopic(bootstrapServers: string): Promise<void> {
  await withAdmin(bootstrapServers, async (admin) => {
    if ((await admin.listTopics()).includes('events')) await admin.deleteTopics({ topics: ['events'] })
    await until('the topic is gone', async () => !(await admin.listTopics()).includes('events'))
  })
}

/** Deletes the topic and all rows. Sinks must be stopped. */
export async function forgetAll(pipeline: Pipeline): Promise<void> {
  await deleteTopic(pipeline.backend.kafka.bootstrapServers)
  await pipeline.query('TRUNCATE events, dead_letters, sink_offsets')
}

/** Sets one configuration value of the topic, and resets all others to the defaults. */
export async function configureTopic(bootstrapServers: string, name: string, value: string): Promise<void> {
  await withAdmin(bootstrapServers, async (admin) => {
    const configEntries = [{ name, value }]
    const resources = [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: 'events', configEntries }]
    await admin.alterConfigs({ validateOnly: false, resources })
  })
}

/** Deletes the records before `offset`, as retention would. */
export async function expireBefore(
  bootstrapServers: string,
  offset: bigint | number,
  partition = 0,
): Promise<void> {
  await withAdmin(bootstrapServers, async (admin) => {
    await admin.fetchTopicMetadata({ topics: ['events'] }) // required by deleteTopicRecords
    await admin.deleteTopicRecords({ topic: 'events', partitions: [{ partition, offset: String(offset) }] })
  })
}
