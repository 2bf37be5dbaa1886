import kafkajs, { type Consumer, type PartitionAssigner } from 'kafkajs'
import { toGroupDescription } from '../../kafka/group-description.ts'
import type { GroupMember } from '../../kafka/group-members.ts'
import { kafkaClient } from './records.ts'
import { withAdmin } from './topic.ts'
import { until } from './until.ts'

/** Joins a group as another program would: a plain kafkajs consumer that commits nothing. */
export async function joinGroup(
  bootstrapServers: string,
  groupId: string,
  topics: string[],
  assigner?: PartitionAssigner,
): Promise<Consumer> {
  const consumer = kafkaClient(bootstrapServers, 'an-old-one').consumer({
    groupId,
    heartbeatInterval: 500,
    maxWaitTimeInMs: 250, // the longest time that leaving takes
    ...(assigner === undefined ? {} : { partitionAssigners: [assigner] }),
  })
  await consumer.connect()
  await consumer.subscribe({ topics, fromBeginning: true })
  const joined = new Promise<void>((resolve) => {
    consumer.on(consumer.events.GROUP_JOIN, () => resolve())
  })
  await consumer.run({ autoCommit: false, eachMessage: async () => {} })
  await joined
  return consumer
}

/** Assigns these partitions of the topic to the members that subscribe to it, and the others to no member. */
export function leavingOut(topic: string, given: readonly number[]): PartitionAssigner {
  const { MemberAssignment, MemberMetadata } = kafkajs.AssignerProtocol
  const userData = Buffer.alloc(0)
  return () => ({
    name: 'RoundRobinAssigner',
    version: 0,
    protocol: ({ topics }) => ({
      name: 'RoundRobinAssigner',
      metadata: MemberMetadata.encode({ version: 0, topics, userData }),
    }),
    assign: async ({ members }) => {
      const readers = members.filter(({ memberMetadata }) =>
        MemberMetadata.decode(memberMetadata)?.topics.includes(topic),
      )
      const [reader] = readers.filter(({ memberId }) => memberId.startsWith('firehose-sink'))
      if (reader === undefined) return []
      const assignment = { [topic]: [...given] }
      const memberAssignment = MemberAssignment.encode({ version: 0, assignment, userData })
      return [{ memberId: reader.memberId, memberAssignment }]
    },
  })
}

/** The current members of a group. */
export async function membersOf(bootstrapServers: string, groupId: string): Promise<readonly GroupMember[]> {
  return await withAdmin(bootstrapServers, async (admin) => {
    return toGroupDescription((await admin.describeGroups([groupId])).groups[0]).members
  })
}

/** Waits until the group has this many members and is not rebalancing. */
export async function settled(bootstrapServers: string, groupId: string, members: number): Promise<void> {
  await withAdmin(bootstrapServers, async (admin) => {
    await until(`the group has ${members} members`, async () => {
      const { groups } = await admin.describeGroups([groupId])
      return groups[0]?.state === 'Stable' && groups[0].members.length === members
    })
  })
}

/**
 * Waits until groups can be joined: for the first one, Kafka creates a topic whose partitions it loads one by one. A group
 * belongs to one of them by the hash of its name; those of consecutive letters are consecutive.
 */
export async function groupsLoaded(bootstrapServers: string): Promise<void> {
  const names = Array.from({ length: 50 }, (_, n) => String.fromCharCode(65 + n)) // 50 partitions by default
  await withAdmin(bootstrapServers, async (admin) => {
    await until('all groups are loaded', async () => {
      const answer = await admin.describeGroups(names).catch(() => undefined)
      return answer !== undefined
    })
  })
}
