import kafkajs, { type Admin } from 'kafkajs'
import type { Logger } from '../platform/log.ts'
import { createKafka, type KafkaConnection } from './client.ts'
import { type ClusterDescription, describeCluster } from './cluster-id.ts'
import { toGroupDescription } from './group-description.ts'
import type { GroupDescription } from './group-members.ts'
import { pastOpenTransactions } from './patches.ts'
import { fetchTopicEnds, type Watermarks } from './topic-ends.ts'

/** Broker or topic settings by name, with values as Kafka returns them. */
export type Configs = Readonly<Record<string, string>>

export interface PartitionReplicas {
  partition: number
  /** Node ids. */
  replicas: number[]
  inSync: number[]
}

/**
 * Reads the state of the cluster through one admin connection. Writes nothing and joins no group.
 *
 * All methods except close() throw kafkajs errors: no broker is reachable, access is denied, the topic does not exist.
 */
export class ClusterInspector {
  readonly #admin: Admin

  constructor(connection: KafkaConnection, clientId: string, logger: Logger) {
    this.#admin = createKafka(connection, clientId, logger).admin()
  }

  async connect(): Promise<void> {
    await this.#admin.connect()
  }

  async cluster(): Promise<ClusterDescription> {
    return await describeCluster(this.#admin)
  }

  async topics(): Promise<string[]> {
    return await this.#admin.listTopics()
  }

  /** The cluster's id and the ends of a topic's partitions; undefined if there is no such topic. */
  async topic(name: string): Promise<{ clusterId: string; ends: Map<number, Watermarks> } | undefined> {
    // Listed first: some clusters create a topic when another request names it.
    if (!(await this.topics()).includes(name)) return undefined
    const [{ clusterId }, ends] = await Promise.all([this.cluster(), this.ends(name)])
    return { clusterId, ends }
  }

  /** The partitions of a topic in ascending order. */
  async partitions(topic: string): Promise<PartitionReplicas[]> {
    const { topics } = await this.#admin.fetchTopicMetadata({ topics: [topic] })
    return (topics[0]?.partitions ?? [])
      .map(({ partitionId, replicas, isr }) => ({ partition: partitionId, replicas, inSync: isr }))
      .toSorted((a, b) => a.partition - b.partition)
  }

  /** @param name the topic, or the node id of the broker */
  async configs(type: 'BROKER' | 'TOPIC', name: string): Promise<Configs> {
    const { resources } = await this.#admin.describeConfigs({
      includeSynonyms: false,
      resources: [{ type: kafkajs.ConfigResourceTypes[type], name }],
    })
    const entries = resources[0]?.configEntries ?? []
    return Object.fromEntries(entries.map(({ configName, configValue }) => [configName, configValue]))
  }

  async ends(topic: string): Promise<Map<number, Watermarks>> {
    return await fetchTopicEnds(this.#admin, topic)
  }

  /** For each partition, the first offset whose record has this timestamp or a later one, or the end if there is none. */
  async offsetsAt(topic: string, timestampMs: number): Promise<Map<number, bigint>> {
    const offsets = await pastOpenTransactions(
      async () => await this.#admin.fetchTopicOffsetsByTimestamp(topic, timestampMs),
    )
    return new Map(offsets.map(({ partition, offset }) => [partition, BigInt(offset)]))
  }

  async group(groupId: string): Promise<GroupDescription> {
    const { groups } = await this.#admin.describeGroups([groupId])
    return toGroupDescription(groups[0])
  }

  /** At most `limit` groups whose names begin with `prefix`, by name: a cluster may have thousands. */
  async groups(prefix: string, limit: number): Promise<Map<string, GroupDescription>> {
    const { groups } = await this.#admin.listGroups()
    const names = groups
      .map(({ groupId }) => groupId)
      .filter((name) => name.startsWith(prefix))
      .slice(0, limit)
    if (names.length === 0) return new Map()
    const described = await this.#admin.describeGroups(names)
    return new Map(described.groups.map((group) => [group.groupId, toGroupDescription(group)]))
  }

  async close(): Promise<void> {
    await this.#admin.disconnect()
  }
}

/** Connects an inspector for `work`, and closes it afterwards. @throws as its methods and `work` do */
export async function withClusterInspector<T>(
  connection: KafkaConnection,
  clientId: string,
  logger: Logger,
  work: (cluster: ClusterInspector) => Promise<T>,
): Promise<T> {
  const cluster = new ClusterInspector(connection, clientId, logger)
  await cluster.connect()
  try {
    return await work(cluster)
  } finally {
    await cluster.close()
  }
}
