import type { KafkaConnection } from '../kafka/client.ts'
import { ClusterInspector, type Configs, type PartitionReplicas } from '../kafka/cluster-inspector.ts'
import type { GroupLook } from '../kafka/group-members.ts'
import type { Watermarks } from '../kafka/topic-ends.ts'
import { createLogger } from '../platform/log.ts'
import type { Look } from './finding.ts'
import { look } from './look.ts'
import { oldestUnread } from './oldest-unread.ts'

export interface KafkaFacts {
  clusterId: string
  brokers: { nodeId: number; host: string; port: number }[]
  /** Of the first broker. */
  brokerConfigs: Look<Configs>
  topicExists: boolean
  /** Undefined of a topic that does not exist; so in the rest. */
  partitions: Look<PartitionReplicas[]> | undefined
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
  readonly #cluster: ClusterInspector
  readonly #topic: string
  readonly #groupId: string

  constructor(connection: KafkaConnection, topic: string, groupId: string) {
    this.#cluster = new ClusterInspector(connection, 'firehose-doctor', createLogger('doctor', 'silent'))
    this.#topic = topic
    this.#groupId = groupId
  }

  /** @throws kafkajs' error when no broker can be reached or lets us in */
  async facts(): Promise<KafkaFacts> {
    const cluster = this.#cluster
    await cluster.connect()
    const { clusterId, brokers } = await cluster.cluster()
    // Asked before the rest: some clusters create a topic that is named in another request.
    const topicExists = (await cluster.topics()).includes(this.#topic)
    const ofTopic = async <T>(work: () => Promise<T>) => (topicExists ? await look(work) : undefined)
    const [brokerConfigs, partitions, topicConfigs, watermarks, inFuture, group, otherGroups] =
      await Promise.all([
        look(async () => await cluster.configs('BROKER', String(brokers[0]?.nodeId))),
        ofTopic(async () => await cluster.partitions(this.#topic)),
        ofTopic(async () => await cluster.configs('TOPIC', this.#topic)),
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
    return await this.#cluster.ends(this.#topic)
  }

  async group(): Promise<GroupLook> {
    return await this.#cluster.group(this.#groupId)
  }

  /** Of those whose name begins as that of a sinks' group does. */
  async #otherGroups(): Promise<Map<string, GroupLook>> {
    const groups = await this.#cluster.groups(GROUP_PREFIX, MOST_OTHER_GROUPS)
    return new Map(
      [...groups].filter(
        ([id, { members }]) =>
          id !== this.#groupId && members.some(({ topics }) => topics.includes(this.#topic)),
      ),
    )
  }

  /** See oldest-unread.ts. */
  async oldestUnread(from: ReadonlyMap<number, bigint>, nowMs: number): Promise<number> {
    return await oldestUnread(
      from,
      async (timestampMs) => await this.#cluster.offsetsAt(this.#topic, timestampMs),
      nowMs,
    )
  }

  /** Not waited for: with a broker that hangs it takes as long as the requests before it. */
  close(): void {
    this.#cluster.close().catch(() => {})
  }

  async #inFuture(): Promise<number[]> {
    const ends = await this.watermarks() // first, so that records made meanwhile are not taken for such
    const found = await this.#cluster.offsetsAt(this.#topic, Date.now() + CLOCK_TOLERANCE_MS)
    return [...found]
      .filter(([partition, offset]) => offset < (ends.get(partition)?.high ?? 0n))
      .map(([partition]) => partition)
  }
}
