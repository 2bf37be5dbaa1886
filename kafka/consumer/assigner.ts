import kafkajs, { type PartitionAssigner } from 'kafkajs'
import { topicsOf } from '../group-description.ts'

const { MemberAssignment, MemberMetadata } = kafkajs.AssignerProtocol

/** kafkajs' own name: all members of a group must have one in common, those of earlier versions too. */
const NAME = 'RoundRobinAssigner'
const VERSION = 0

/**
 * How the group's leader shares out partitions: round robin, as kafkajs does it, but only among those members that
 * subscribe to the topic. kafkajs' own gives the leader's topics to all members alike: half of the partitions would be
 * with a member that never reads them.
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
      for (const [memberId, share] of shareOut(subscribers, partitions))
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
 * Round robin in the order of the members' names: each partition to one member, shares that differ by one at most, and
 * the same for every leader. Who gets nothing is left out. Pure.
 */
export function shareOut(memberIds: readonly string[], partitions: readonly number[]): Map<string, number[]> {
  const shares = new Map<string, number[]>()
  const sorted = memberIds.toSorted()
  for (const [index, partition] of partitions.toSorted((a, b) => a - b).entries()) {
    const memberId = sorted[index % sorted.length]
    if (memberId === undefined) break // nobody subscribes to it
    const share = shares.get(memberId)
    if (share === undefined) shares.set(memberId, [partition])
    else share.push(partition)
  }
  return shares
}
