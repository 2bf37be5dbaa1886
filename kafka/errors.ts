/** The errors of this folder, and helpers for the nested errors of kafkajs. */
import { FirehoseError } from '../platform/errors.ts'
import { formatReaders, type GroupAssessment, SEPARATE_GROUPS } from './group-members.ts'

/** The group is used for another topic, so this sink must not be a member of it. */
export class OtherTopicError extends FirehoseError {
  constructor(groupId: string, { others }: Pick<GroupAssessment, 'others'>) {
    super(
      `consumer group "${groupId}" has a member that reads another topic, ${formatReaders(others)}; consumers of different ` +
        `topics in one group take partitions from each other: ${SEPARATE_GROUPS}`,
      { code: 'OTHER_TOPIC', retryable: true, needsPerson: true },
    )
  }
}

/** The type of Kafka's error if access to a group is denied. */
export const GROUP_FORBIDDEN = 'GROUP_AUTHORIZATION_FAILED'

/** Access to the group is denied, for example after an upgrade that changed the default group but not the ACLs. */
export class ForbiddenGroupError extends FirehoseError {
  constructor(groupId: string, cause: unknown) {
    super(
      `Kafka denies this user access to consumer group "${groupId}" (${GROUP_FORBIDDEN}): grant Read on the group, ` +
        'or set KAFKA_GROUP_ID to a group that the user may read',
      { code: 'FORBIDDEN_GROUP', retryable: true, needsPerson: true, cause },
    )
  }
}

/** The batch, and therefore everything after it in its partition, cannot be read. */
export class UnreadableBatchError extends FirehoseError {
  constructor(problem: string) {
    super(
      `a batch of another producer ${problem}: see "The sink is paused: a batch of another producer" in docs/RUNBOOK.md`,
      { code: 'UNREADABLE_BATCH', retryable: true, needsPerson: true },
    )
    this.name = 'KafkaJSNotImplemented' // kafkajs only rethrows errors of this name without retrying
  }
}

/** A produce request that must not be sent. */
export class ProduceRequestError extends FirehoseError {
  constructor(message: string) {
    super(message, { code: 'PRODUCE_REQUEST', retryable: true, needsPerson: false })
  }
}

/** Kafka's error name (such as `NOT_LEADER_FOR_PARTITION`) of the outermost error in the chain of causes that has one. */
export function kafkaErrorType(error: unknown): string | undefined {
  return causeChain(error)
    .map((link) => link.type)
    .find((value): value is string => typeof value === 'string')
}

/** The message of the root cause. */
export function rootMessage(error: unknown): string {
  return causeChain(error).at(-1)?.message ?? String(error)
}

interface Link {
  name?: string
  message?: string
  type?: unknown
  code?: unknown
}

/** The error and its causes, outermost first. At most ten, because the chain may be circular. */
export function causeChain(error: unknown): Link[] {
  const chain: Link[] = []
  let link = error
  while (typeof link === 'object' && link !== null && chain.length < 10) {
    chain.push(link)
    link = (link as { cause?: unknown }).cause
  }
  return chain
}
