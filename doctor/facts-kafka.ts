import type { KafkaConnection } from '../kafka/client.ts'
import { ClusterInspector, type Configs, type PartitionReplicas } from '../kafka/cluster-inspector.ts'
import type { GroupDescription } from '../kafka/group-members.ts'
import type { Watermarks } from '../kafka/topic-ends.ts'
import { createLogger } from '../platform/log.ts'
import type { Result } from './finding.ts'
import { attempt } from './attempt.ts'
import { oldestUnread } from './oldest-unread.ts'

export interface KafkaFacts {
  clusterId: string
  brokers: { nodeId: number; host: string; port: number }[]
  /** The settings of the first broker. */
  brokerConfigs: Result<Configs>
  topicExists: boolean
  /** Like the next three fields, undefined if the topic does not exist. */
  partitions: Result<PartitionReplicas[]> | undefined
  topicConfigs: Result<Configs> | undefined
  watermarks: Result<ReadonlyMap<number, Watermarks>> | undefined
  /** Partitions with records whose timestamp is ahead of this machine's clock by CLOCK_TOLERANCE_MS or more. */
  inFuture: Result<number[]> | undefined
  group: Result<GroupDescription>
  /** Other groups of sinks that read the topic, by group id. */
  otherGroups: Result<ReadonlyMap<string, GroupDescription>>
}

const GROUP_PREFIX = 'firehose-sink'
const MOST_OTHER_GROUPS = 50

/** How far ahead of this machine's clock the timestamp of a record may be. */
export const CLOCK_TOLERANCE_MS = 2_000

/** Inspects Kafka through one admin connection; writes nothing and joins no group. */
export class KafkaProbe {
  readonly #cluster: ClusterInspector
  readonly #topic: string
  readonly #groupId: string

  constructor(connection: KafkaConnection, topic: string, groupId: string) {
    this.#cluster = new ClusterInspector(connection, 'firehose-doctor', createLogger('doctor', 'silent'))
    this.#topic = topic
    this.#groupId = groupId
  }

  /** @throws the error of kafkajs if no broker can be reached or access is denied */
  async facts(): Promise<KafkaFacts> {
    const cluster = this.#cluster
    await cluster.connect()
    const { clusterId, brokers } = await cluster.cluster()
    // First, because some clusters create a topic as soon as a request names it.
    const topicExists = (await cluster.topics()).includes(this.#topic)
    const ofTopic = async <T>(work: () => Promise<T>) => (topicExists ? await attempt(work) : undefined)
    const [brokerConfigs, partitions, topicConfigs, watermarks, inFuture, group, otherGroups] =
      await Promise.all([
        attempt(async () => await cluster.configs('BROKER', String(brokers[0]?.nodeId))),
        ofTopic(async () => await cluster.partitions(this.#topic)),
        ofTopic(async () => await cluster.configs('TOPIC', this.#topic)),
        ofTopic(async () => await this.watermarks()),
        ofTopic(async () => await this.#inFuture()),
        attempt(async () => await this.group()),
        attempt(async () => await this.#otherGroups()),
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

  async group(): Promise<GroupDescription> {
    return await this.#cluster.group(this.#groupId)
  }

  /** Only groups whose id has the prefix of a sink's group. */
  async #otherGroups(): Promise<Map<string, GroupDescription>> {
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

  /** Does not wait: if a broker hangs, closing takes as long as the pending requests. */
  close(): void {
    this.#cluster.close().catch(() => {})
  }

  async #inFuture(): Promise<number[]> {
    const ends = await this.watermarks() // first, so that records produced meanwhile are not mistaken for such
    const found = await this.#cluster.offsetsAt(this.#topic, Date.now() + CLOCK_TOLERANCE_MS)
    return [...found]
      .filter(([partition, offset]) => offset < (ends.get(partition)?.high ?? 0n))
      .map(([partition]) => partition)
  }
}
