import {
  type GroupAssessment,
  type GroupDescription,
  SEPARATE_GROUPS,
  isRebalancing,
  assessGroup,
} from '../group-members.ts'
import {
  causeChain,
  ForbiddenGroupError,
  GROUP_FORBIDDEN,
  kafkaErrorType,
  OtherTopicError,
} from '../errors.ts'
import type { Logger } from '../../platform/log.ts'
import { describeSettled } from '../settled-group.ts'

const POLL_MS = 10_000
/** Interval while the state of the group is unknown. */
const RETRY_MS = 1_000
/** How long a sink waits for a rebalance to end before it joins. */
const SETTLE_LIMIT_MS = 5_000

/** The consumer group as reported by /health; null until the group has been described. */
export interface GroupStatus {
  id: string
  /** Partitions of the topic that no member of the group reads. */
  unread_partitions: number[] | null
  /** Other topics that members of the group read. */
  other_topics: string[] | null
}

/** Describes the group, and returns the partitions of the topic that the client knows. */
export type DescribeGroup = () => Promise<{ group: GroupDescription; partitions: readonly number[] }>

/** Returns an error that names the group and the remedy if `error` concerns the group; otherwise `error` itself. */
export function explainFailure(error: Error, groupId: string): Error {
  if (kafkaErrorType(error) === GROUP_FORBIDDEN) return new ForbiddenGroupError(groupId, error)
  // kafkajs does not report the reason: Kafka may be starting, or the user may lack the permission.
  if (!causeChain(error).some(({ name }) => name === 'KafkaJSGroupCoordinatorNotFound')) return error
  const problem = `Kafka names no coordinator of consumer group "${groupId}"`
  return new Error(`${problem}: if this persists, grant this user Read on the group`, { cause: error })
}

/** What a broker answers while it starts: its groups are not read yet, or have no coordinator. */
const LOADING_TYPES: readonly (string | undefined)[] = [
  'GROUP_LOAD_IN_PROGRESS',
  'GROUP_COORDINATOR_NOT_AVAILABLE',
  'NOT_COORDINATOR_FOR_GROUP',
]

/** Whether Kafka cannot answer for a consumer group yet, as during its first seconds. */
export function isLoadingGroups(error: Error): boolean {
  return (
    LOADING_TYPES.includes(kafkaErrorType(error)) ||
    causeChain(error).some(({ name }) => name === 'KafkaJSGroupCoordinatorNotFound')
  )
}

/**
 * Checks the consumer group before the sink joins it, and while the sink is a member. Keeps the last known state: during
 * a rebalance Kafka reports neither topics nor partitions.
 */
export class GroupWatch {
  readonly #groupId: string
  readonly #topic: string
  readonly #logger: Logger
  #lastKnown: GroupAssessment = { unreadPartitions: [], others: [] }
  #isKnown = false
  #isDenied = false
  #timer: NodeJS.Timeout | undefined
  /** Changes with each join, so that the result of an earlier description is ignored. */
  #membership: object | undefined

  constructor(groupId: string, topic: string, logger: Logger) {
    this.#groupId = groupId
    this.#topic = topic
    this.#logger = logger
  }

  get status(): GroupStatus {
    const { unreadPartitions, others } = this.#lastKnown
    return {
      id: this.#groupId,
      unread_partitions: this.#isKnown ? unreadPartitions : null,
      other_topics: this.#isKnown ? others.map(({ topic }) => topic) : null,
    }
  }

  /**
   * Await this before joining, so that the sink does not disturb the group of another topic.
   *
   * @throws {OtherTopicError} a member reads another topic
   * @throws a kafkajs error if Kafka does not answer
   */
  async beforeJoin(describe: DescribeGroup): Promise<void> {
    const found = await describeSettled(
      async () => await this.#describe(describe),
      (description) => description === 'not allowed' || !isRebalancing(description.group),
      SETTLE_LIMIT_MS,
    )
    if (found === 'not allowed') return
    const assessment = assessGroup(found.group, this.#topic, found.partitions)
    // If the rebalance takes longer, join: afterJoin() makes the same check.
    if (assessment === undefined || assessment.others.length === 0) return
    this.#report(assessment)
    throw new OtherTopicError(this.#groupId, assessment)
  }

  /**
   * Watches the group until stop() or the next join.
   *
   * @param leaderId the member that assigns the partitions
   * @param onOtherLeader called at most once, if the leader reads another topic: the group belongs to that topic
   */
  afterJoin(
    describe: DescribeGroup,
    leaderId: string,
    onOtherLeader: (error: OtherTopicError) => void,
  ): void {
    this.stop()
    const membership = {}
    this.#membership = membership
    const poll = async (): Promise<void> => {
      const found = await this.#describe(describe).catch(() => undefined) // outages of Kafka are reported elsewhere
      if (this.#membership !== membership) return
      const seen = found === 'not allowed' ? undefined : found
      const assessment = seen && assessGroup(seen.group, this.#topic, seen.partitions)
      if (assessment !== undefined) this.#report(assessment)
      const leader = seen?.group.members.find(({ memberId }) => memberId === leaderId)
      const readsOtherTopic = leader?.topics.some((topic) => topic !== this.#topic) ?? false
      if (assessment !== undefined && readsOtherTopic) {
        onOtherLeader(new OtherTopicError(this.#groupId, assessment))
        return
      }
      const hasResult = assessment !== undefined || found === 'not allowed'
      this.#timer = setTimeout(() => void poll(), hasResult ? POLL_MS : RETRY_MS).unref()
    }
    void poll()
  }

  stop(): void {
    this.#membership = undefined
    clearTimeout(this.#timer)
  }

  /** The right to join normally includes the right to describe. If a broker refuses it, the sink works without. */
  async #describe(describe: DescribeGroup): Promise<Awaited<ReturnType<DescribeGroup>> | 'not allowed'> {
    try {
      const found = await describe()
      this.#isDenied = false
      return found
    } catch (error) {
      if (!isRefusal(error)) throw error
      if (!this.#isDenied)
        this.#logger.warn(
          { group: this.#groupId, error: String(error) },
          'the consumer group cannot be described, so unread partitions are not detected: grant Describe on the group',
        )
      this.#isDenied = true
      return 'not allowed'
    }
  }

  #report(assessment: GroupAssessment): void {
    const before = summaryOf(this.#lastKnown)
    this.#lastKnown = assessment
    this.#isKnown = true
    if (summaryOf(assessment) === before) return
    const { unreadPartitions, others } = assessment
    const details = { group: this.#groupId, unread_partitions: unreadPartitions, others }
    if (others.length > 0)
      this.#logger.warn(details, `the consumer group has members that read another topic: ${SEPARATE_GROUPS}`)
    else if (unreadPartitions.length > 0)
      this.#logger.warn(details, 'no member of the consumer group reads these partitions')
    else
      this.#logger.info(details, 'the consumer group reads every partition of the topic, and no other topic')
  }
}

/** The state without client ids and hosts, which may change with every rebalance and are not worth a log line. */
function summaryOf({ unreadPartitions, others }: GroupAssessment): string {
  return JSON.stringify([unreadPartitions, others.map(({ topic }) => topic)])
}

function isRefusal(error: unknown): boolean {
  if (kafkaErrorType(error)?.endsWith('AUTHORIZATION_FAILED') === true) return true
  return causeChain(error).some(({ name }) => name === 'KafkaJSServerDoesNotSupportApiKey')
}
