import type { TopicIdentity } from '../../event/record/decoded.ts'
import type { UserIdType } from '../../event/kinds.ts'
import type { Logger } from '../../platform/log.ts'
import type { Watermarks } from '../../kafka/topic-ends.ts'
import type { Database } from '../../postgres/database.ts'
import { checkNeeds } from '../../postgres/needs.ts'
import { readUserIdType } from '../store/event-table.ts'
import {
  decideStart,
  loadOffsets,
  type Start,
  stop,
  type StoredOffset,
  type StoredOffsets,
} from './offsets.ts'
import { Partition } from './partition.ts'
import type { TopicDescription, TopicInspector } from '../record-source.ts'

/** @throws if Kafka does not know the partition: the metadata may be stale, or someone deleted the topic */
export function watermarksOf(description: TopicDescription, partition: number): Watermarks {
  const watermarks = description.partitions.get(partition)
  if (watermarks === undefined) throw new Error(`Kafka does not know partition ${partition}`)
  return watermarks
}

export interface PositionsDependencies {
  inspector: TopicInspector
  database: Database
  topic: string
  logger: Logger
}

/** The partitions that are assigned, the topic that they belong to, and how records are decoded. Replaced as a whole whenever they are read. */
export class Positions {
  readonly #deps: PositionsDependencies
  #identity: TopicIdentity
  #userIdType: UserIdType = 'bigint'
  #partitions: ReadonlyMap<number, Partition> = new Map()

  constructor(deps: PositionsDependencies) {
    this.#deps = deps
    this.#identity = { clusterId: '', topic: deps.topic }
  }

  get identity(): TopicIdentity {
    return this.#identity
  }

  /** The type of the column user_id, for which records are decoded. */
  get userIdType(): UserIdType {
    return this.#userIdType
  }

  get all(): readonly Partition[] {
    return [...this.#partitions.values()]
  }

  /** Why a partition waits for a person; undefined if none does. */
  get stopped(): string | undefined {
    return this.all.find(({ stopped }) => stopped !== undefined)?.stopped
  }

  /** The partitions that are read. */
  get started(): readonly Partition[] {
    return this.all.filter(({ stopped }) => stopped === undefined)
  }

  get(partition: number): Partition | undefined {
    return this.#partitions.get(partition)
  }

  clear(): void {
    this.#partitions = new Map()
  }

  /**
   * Reads the positions of these partitions. Creates missing rows in sink_offsets.
   *
   * @throws {ObstacleError | TableMismatchError} the driver's errors, kafkajs' errors, or if Kafka does not know a partition
   */
  async read(assignedNow: () => readonly number[]): Promise<void> {
    const { database, inspector, topic } = this.#deps
    const description = await inspector.describe()
    // So that the lag is current even during a database outage.
    for (const partition of this.all) {
      const ends = description.partitions.get(partition.number)
      if (ends !== undefined) partition.updateEnds(ends)
    }
    await database.open()
    await checkNeeds(database)
    this.#userIdType = await readUserIdType(database)
    this.#identity = { clusterId: description.clusterId, topic }
    const assigned = assignedNow()
    let partitions = await this.#load(description, assigned)
    // If one seems wrong: another worker may have moved the offsets past the ends in an older description of the topic,
    // which would look like a recreated topic.
    if (partitions.some(({ stopped }) => stopped !== undefined))
      partitions = await this.#load(await inspector.describe(), assigned)
    this.#logChanges(partitions)
    this.#partitions = new Map(partitions.map((partition) => [partition.number, partition]))
  }

  logExpired({ number, expired: { from, count } }: Partition): void {
    this.#deps.logger.error(
      { partition: number, from: String(from), count },
      'records expired before they were read',
    )
  }

  async #load(description: TopicDescription, assigned: readonly number[]): Promise<Partition[]> {
    const watermarks = new Map(assigned.map((p) => [p, watermarksOf(description, p)]))
    const loaded = await loadOffsets(this.#deps.database, this.#identity, watermarks)
    return [...watermarks].map(([partition, kafka]) => {
      const { stored, start } = decidePosition(description, loaded, partition)
      return new Partition(stored, start, kafka)
    })
  }

  /** Logs newly stopped partitions and newly expired records. */
  #logChanges(now: readonly Partition[]): void {
    for (const partition of now) {
      const { number, stopped, expired } = partition
      const earlier = this.get(number)
      const isNews = stopped !== undefined && earlier?.stopped !== stopped
      if (isNews) this.#deps.logger.error({ partition: number, reason: stopped }, 'partition stopped')
      if (expired.count > (earlier?.expired.count ?? 0)) this.logExpired(partition)
    }
  }
}

/** The position of one partition in PostgreSQL, and whether it is consistent with Kafka (I9). Pure. */
export function decidePosition(
  description: TopicDescription,
  loaded: StoredOffsets,
  partition: number,
): { stored: StoredOffset; start: Start } {
  const kafka = watermarksOf(description, partition)
  const row = 'offsets' in loaded ? loaded.offsets.get(partition) : undefined
  const stored = row ?? { partition, nextOffset: kafka.low, last: null }
  if (description.compacted) {
    const reason = 'the topic is compacted, which deletes events: set its cleanup.policy to "delete"'
    return { stored, start: { kind: 'stop', reason } }
  }
  if ('foreignCluster' in loaded) {
    const { foreignCluster } = loaded
    const reason = `the topic was written from cluster ${foreignCluster}, this one is ${description.clusterId}`
    return { stored, start: stop(reason) }
  }
  return { stored, start: decideStart(stored, kafka) }
}
