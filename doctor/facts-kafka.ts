import kafkajs, { type Admin } from 'kafkajs'
import { toGroupLook } from '../kafka/group-description.ts'
import type { GroupLook } from '../kafka/group-members.ts'
import { createKafka, type KafkaConnection } from '../kafka/client.ts'
import { pastOpenTransactions } from '../kafka/patches.ts'
import { createLogger } from '../platform/log.ts'
import { fetchTopicEnds, type Watermarks } from '../kafka/topic-ends.ts'
import type { Look } from './finding.ts'
import { look } from './look.ts'
import { oldestUnread } from './oldest-unread.ts'

/** Settings by name, as Kafka spells their values. */
export type Configs = Readonly<Record<string, string>>

export interface PartitionFacts {
  partition: number
  /** Node ids. */
  replicas: number[]
  inSync: number[]
}

export interface KafkaFacts {
  clusterId: string
  brokers: { nodeId: number; host: string; port: number }[]
  /** Of the first broker. */
  brokerConfigs: Look<Configs>
  topicExists: boolean
  /** Undefined of a topic that does not exist; so in the rest. */
  partitions: Look<PartitionFacts[]> | undefined
  topicConfigs: Look<Configs> | undefined
  watermarks: Look<ReadonlyMap<number, Watermarks>> | undefined
  /** Partitions that hold records of a time that is ahead of our clock by this much or more. */
  inFuture: Look<number[]> | undefined
  group: Look<GroupLook>
  /** Groups of other sinks that read the topic, by name. */
  otherGroups: Look<ReadonlyMap<string, GroupLook>>
}

const GROUP_PREFIX = 'firehose-sink'
const MOST_OTHER_GROUPS = 50

/** How far ahead of our clock the time of a record may be. */
export const CLOCK_TOLERANCE_MS = 2_000

/** Looks at Kafka through one admin connection; writes nothing and joins no group. */
export class KafkaLooker {
  readonly #admin: Admin
  readonly #topic: string
  readonly #groupId: string

  constructor(connection: KafkaConnection, topic: string, groupId: string) {
    this.#admin = createKafka(connection, 'firehose-doctor', createLogger('doctor', 'silent')).admin()
    this.#topic = topic
    this.#groupId = groupId
  }

  /** @throws kafkajs' error when no broker can be reached or lets us in */
  async facts(): Promise<KafkaFacts> {
    const admin = this.#admin
    await admin.connect()
    const { clusterId, brokers } = await admin.describeCluster()
    // Asked before the rest: some clusters create a topic that is named in another request.
    const topicExists = (await admin.listTopics()).includes(this.#topic)
    const ofTopic = async <T>(work: () => Promise<T>) => (topicExists ? await look(work) : undefined)
    const [brokerConfigs, partitions, topicConfigs, watermarks, inFuture, group, otherGroups] =
      await Promise.all([
        look(async () => await this.#configs('BROKER', String(brokers[0]?.nodeId))),
        ofTopic(async () => await this.#partitions()),
        ofTopic(async () => await this.#configs('TOPIC', this.#topic)),
        ofTopic(async () => await this.watermarks()),
        ofTopic(async () => await this.#inFuture()),
        look(async () => await this.group()),
        look(async () => await this.#otherGroups()),
      ])
    return {
      clusterId,
      brokers,
      brokerConfigs,
      topicExists,
      partitions,
      topicConfigs,
      watermarks,
      inFuture,
      group,
      otherGroups,
    }
  }

  async watermarks(): Promise<Map<number, Watermarks>> {
    return await fetchTopicEnds(this.#admin, this.#topic)
  }

  async group(): Promise<GroupLook> {
    const { groups } = await this.#admin.describeGroups([this.#groupId])
    return toGroupLook(groups[0])
  }

  /** Of those whose name begins as that of a sinks' group does; a cluster may have thousands of others. */
  async #otherGroups(): Promise<Map<string, GroupLook>> {
    const { groups } = await this.#admin.listGroups()
    const names = groups
      .map(({ groupId }) => groupId)
      .filter((name) => name.startsWith(GROUP_PREFIX) && name !== this.#groupId)
      .slice(0, MOST_OTHER_GROUPS)
    if (names.length === 0) return new Map()
    const described = await this.#admin.describeGroups(names)
    return new Map(
      described.groups
        .map((group) => [group.groupId, toGroupLook(group)] as const)
        .filter(([, { members }]) => members.some(({ topics }) => topics.includes(this.#topic))),
    )
  }

  /** See oldest-unread.ts. */
  async oldestUnread(from: ReadonlyMap<number, bigint>, nowMs: number): Promise<number> {
    return await oldestUnread(from, async (timestampMs) => await this.#offsetsAt(timestampMs), nowMs)
  }

  /** Not waited for: with a broker that hangs it takes as long as the requests before it. */
  close(): void {
    this.#admin.disconnect().catch(() => {})
  }

  async #partitions(): Promise<PartitionFacts[]> {
    const { topics } = await this.#admin.fetchTopicMetadata({ topics: [this.#topic] })
    return (topics[0]?.partitions ?? [])
      .map(({ partitionId, replicas, isr }) => ({ partition: partitionId, replicas, inSync: isr }))
      .toSorted((a, b) => a.partition - b.partition)
  }

  async #configs(type: 'BROKER' | 'TOPIC', name: string): Promise<Configs> {
    const { resources } = await this.#admin.describeConfigs({
      includeSynonyms: false,
      resources: [{ type: kafkajs.ConfigResourceTypes[type], name }],
    })
    const entries = resources[0]?.configEntries ?? []
    return Object.fromEntries(entries.map(({ configName, configValue }) => [configName, configValue]))
  }

  async #offsetsAt(timestampMs: number): Promise<Map<number, bigint>> {
    const offsets = await pastOpenTransactions(
      async () => await this.#admin.fetchTopicOffsetsByTimestamp(this.#topic, timestampMs),
    )
    return new Map(offsets.map(({ partition, offset }) => [partition, BigInt(offset)]))
  }

  async #inFuture(): Promise<number[]> {
    const ends = await this.watermarks() // first, so that records made meanwhile are not taken for such
    const found = await this.#offsetsAt(Date.now() + CLOCK_TOLERANCE_MS)
    return [...found]
      .filter(([partition, offset]) => offset < (ends.get(partition)?.high ?? 0n))
      .map(([partition]) => partition)
  }
}
