import kafkajs, { type PartitionAssigner } from 'kafkajs'
import { topicsOf } from '../group-description.ts'

const { MemberAssignment, MemberMetadata } = kafkajs.AssignerProtocol

/** The name that kafkajs uses: all members of a group, including older versions, must share an assigner. */
const NAME = 'RoundRobinAssigner'
const VERSION = 0

/**
 * Assigns partitions round robin, as kafkajs does, but only to members that subscribe to the topic. The assigner of
 * kafkajs distributes the leader's topics to all members, also to those that do not read them.
 */
export const subscribersOnly: PartitionAssigner = ({ cluster }) => ({
  name: NAME,
  version: VERSION,
  assign: async ({ members, topics }) => {
    const subscriptions = members.map(({ memberId, memberMetadata }) => ({
      memberId,
      topics: topicsOf(memberMetadata),
    }))
    const assignments = new Map<string, Record<string, number[]>>()
    for (const topic of topics) {
      const partitions = cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => partitionId)
      const subscribers = subscriptions
        .filter((subscription) => subscription.topics.includes(topic))
        .map(({ memberId }) => memberId)
      for (const [memberId, share] of distribute(subscribers, partitions))
        assignments.set(memberId, { ...assignments.get(memberId), [topic]: share })
    }
    return [...assignments].map(([memberId, assignment]) => ({
      memberId,
      memberAssignment: MemberAssignment.encode({
        version: VERSION,
        assignment,
        userData: Buffer.alloc(0),
      }),
    }))
  },
  protocol: ({ topics }) => ({
    name: NAME,
    metadata: MemberMetadata.encode({ version: VERSION, topics, userData: Buffer.alloc(0) }),
  }),
})

/**
 * Distributes partitions round robin over the sorted member ids. Each partition goes to one member, shares differ by at
 * most one, and every leader gets the same result. Members without partitions are not in the result. Pure.
 */
export function distribute(
  memberIds: readonly string[],
  partitions: readonly number[],
): Map<string, number[]> {
  const shares = new Map<string, number[]>()
  const sorted = memberIds.toSorted()
  for (const [index, partition] of partitions.toSorted((a, b) => a - b).entries()) {
    const memberId = sorted[index % sorted.length]
    if (memberId === undefined) break // no members
    const share = shares.get(memberId)
    if (share === undefined) shares.set(memberId, [partition])
    else share.push(partition)
  }
  return shares
}
