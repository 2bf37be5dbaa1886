import { type GroupJudgement, type GroupLook, judgeGroup, nameReaders } from '../group-members.ts'
import { causeChain, kafkaErrorType } from '../errors.ts'
import type { Logger } from '../../platform/log.ts'
import { sleep } from '../../platform/sleep.ts'

const LOOK_AFTER_MS = 10_000
const LOOK_AGAIN_MS = 1_000
/** How long a sink that wants to join waits for a rebalance of others to end. */
const SETTLE_LIMIT_MS = 5_000
const SETTLE_STEP_MS = 250
const FORBIDDEN = 'GROUP_AUTHORIZATION_FAILED'

/** What /health says of the group; null before it was seen. */
export interface GroupStatus {
  id: string
  /** Partitions of the topic that no member of the group reads. */
  unread_partitions: number[] | null
  /** What other members of the group read. */
  other_topics: string[] | null
}

/** The group as Kafka describes it now, and the topic's partitions as the client knows them. */
export type LookAtGroup = () => Promise<{ group: GroupLook; partitions: readonly number[] }>

/** The group belongs to another topic, so this sink is no member of it. */
export class OtherTopicError extends Error {
  /** For classifyError(): only a person can give one of the two another group. */
  readonly needsPerson = true

  constructor(groupId: string, { others }: Pick<GroupJudgement, 'others'>) {
    super(
      `consumer group "${groupId}" has a member that reads another topic, ${nameReaders(others)}, and two topics in one ` +
        'group take partitions from each other: give one of the two a KAFKA_GROUP_ID of its own',
    )
    this.name = 'OtherTopicError'
  }
}

/** Kafka does not let us into the group: so it is after an upgrade whose default names another group than the ACLs do. */
class ForbiddenGroupError extends Error {
  /** As above. */
  readonly needsPerson = true

  constructor(groupId: string, cause: unknown) {
    super(
      `Kafka does not let this user into consumer group "${groupId}" (${FORBIDDEN}): grant Read on it, or set ` +
        'KAFKA_GROUP_ID to a group that it may read',
      { cause },
    )
    this.name = 'ForbiddenGroupError'
  }
}

/** The error in words that name the group and what to do, if it is about the group; else as it is. */
export function explainFailure(error: Error, groupId: string): Error {
  if (kafkaErrorType(error) === FORBIDDEN) return new ForbiddenGroupError(groupId, error)
  // kafkajs keeps to itself why: Kafka may be starting, or not tell it to this user.
  if (!causeChain(error).some(({ name }) => name === 'KafkaJSGroupCoordinatorNotFound')) return error
  const ofGroup = `Kafka names no coordinator of consumer group "${groupId}"`
  return new Error(`${ofGroup}: if that lasts, grant Read on the group to this user`, { cause: error })
}

/**
 * Looks at the consumer group before the sink joins it and while it is a member. Owns what was last seen of it. While the
 * group shares out its partitions Kafka tells nothing, and what was seen before stays.
 */
export class GroupWatch {
  readonly #groupId: string
  readonly #topic: string
  readonly #logger: Logger
  #seen: GroupJudgement = { unreadPartitions: [], others: [] }
  #wasSeen = false
  #wasRefused = false
  #timer: NodeJS.Timeout | undefined
  /** Changes with each join, so that a look at an earlier one decides nothing. */
  #membership: object | undefined

  constructor(groupId: string, topic: string, logger: Logger) {
    this.#groupId = groupId
    this.#topic = topic
    this.#logger = logger
  }

  get status(): GroupStatus {
    const { unreadPartitions, others } = this.#seen
    return {
      id: this.#groupId,
      unread_partitions: this.#wasSeen ? unreadPartitions : null,
      other_topics: this.#wasSeen ? others.map(({ topic }) => topic) : null,
    }
  }

  /**
   * To be awaited before the sink joins, so that it disturbs no group of another topic.
   *
   * @throws {OtherTopicError} a member reads another topic
   * @throws kafkajs' error when Kafka does not answer
   */
  async beforeJoin(look: LookAtGroup): Promise<void> {
    const endMs = performance.now() + SETTLE_LIMIT_MS
    for (;;) {
      const found = await this.#look(look)
      if (found === 'not allowed') return
      const judged = judgeGroup(found.group, this.#topic, found.partitions)
      if (judged !== undefined && judged.others.length > 0) {
        this.#show(judged)
        throw new OtherTopicError(this.#groupId, judged)
      }
      // What a join can show is seen after it, too.
      if (judged !== undefined || performance.now() > endMs) return
      await sleep(SETTLE_STEP_MS)
    }
  }

  /**
   * Watches the group until stop() or the next join.
   *
   * @param leaderId the member that shares out the partitions
   * @param onOtherLeader called once, if at all: the leader reads another topic, so the group is that topic's
   */
  afterJoin(look: LookAtGroup, leaderId: string, onOtherLeader: (error: OtherTopicError) => void): void {
    this.stop()
    const membership = {}
    this.#membership = membership
    const lookNow = async (): Promise<void> => {
      const found = await this.#look(look).catch(() => undefined) // Kafka's outages show by themselves
      if (this.#membership !== membership) return
      const seen = found === 'not allowed' ? undefined : found
      const judged = seen && judgeGroup(seen.group, this.#topic, seen.partitions)
      if (judged !== undefined) this.#show(judged)
      const leader = seen?.group.members.find(({ memberId }) => memberId === leaderId)
      const isOthers = leader?.topics.some((topic) => topic !== this.#topic) ?? false
      if (judged !== undefined && isOthers) {
        onOtherLeader(new OtherTopicError(this.#groupId, judged))
        return
      }
      const isKnown = judged !== undefined || found === 'not allowed'
      this.#timer = setTimeout(() => void lookNow(), isKnown ? LOOK_AFTER_MS : LOOK_AGAIN_MS).unref()
    }
    void lookNow()
  }

  stop(): void {
    this.#membership = undefined
    clearTimeout(this.#timer)
  }

  /** Whoever may join may describe the group; where a broker refuses that all the same, the sink works without it. */
  async #look(look: LookAtGroup): Promise<Awaited<ReturnType<LookAtGroup>> | 'not allowed'> {
    try {
      const found = await look()
      this.#wasRefused = false
      return found
    } catch (error) {
      if (!isRefusal(error)) throw error
      if (!this.#wasRefused)
        this.#logger.warn(
          { group: this.#groupId, error: String(error) },
          'the consumer group cannot be described, so partitions that nobody reads are not noticed: grant Describe on it',
        )
      this.#wasRefused = true
      return 'not allowed'
    }
  }

  #show(judged: GroupJudgement): void {
    const before = newsOf(this.#seen)
    this.#seen = judged
    this.#wasSeen = true
    if (newsOf(judged) === before) return
    const { unreadPartitions, others } = judged
    const facts = { group: this.#groupId, unread_partitions: unreadPartitions, others }
    if (others.length > 0)
      this.#logger.warn(facts, 'the consumer group has members that read another topic: separate the groups')
    else if (unreadPartitions.length > 0)
      this.#logger.warn(facts, 'no member of the consumer group reads these partitions')
    else
      this.#logger.info(facts, 'each partition is read by a member of the consumer group, and no other topic')
  }
}

/** Who reads another topic, and from where, may change with each rebalance: that is no news. */
function newsOf({ unreadPartitions, others }: GroupJudgement): string {
  return JSON.stringify([unreadPartitions, others.map(({ topic }) => topic)])
}

function isRefusal(error: unknown): boolean {
  if (kafkaErrorType(error)?.endsWith('AUTHORIZATION_FAILED') === true) return true
  return causeChain(error).some(({ name }) => name === 'KafkaJSServerDoesNotSupportApiKey')
}
