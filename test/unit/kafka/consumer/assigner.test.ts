import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import kafkajs, { type Cluster, type GroupMember, type Logger, PartitionAssigners } from 'kafkajs'
import { distribute, subscribersOnly } from '../../../../kafka/consumer/assigner.ts'

const { MemberAssignment, MemberMetadata } = kafkajs.AssignerProtocol

const names = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 8 }), { maxLength: 8 })
const partitionCount = fc.integer({ min: 0, max: 40 })

test('each partition goes to one member and shares differ by at most one, in any order of the members', () => {
  fc.assert(
    fc.property(names, partitionCount, fc.infiniteStream(fc.nat()), (members, count, random) => {
      const partitions = range(count)
      const shares = distribute(members, partitions)
      const given = [...shares.values()].flat()
      assert.deepEqual(
        given.toSorted((a, b) => a - b),
        members.length === 0 ? [] : partitions,
      )
      const sizes = members.map((member) => shares.get(member)?.length ?? 0)
      assert.ok(members.length === 0 || Math.max(...sizes) - Math.min(...sizes) <= 1)
      const shuffled = members.toSorted(() => (random.next().value % 3) - 1)
      assert.deepEqual(distribute(shuffled, partitions.toReversed()), shares)
    }),
  )
})

test('all partitions of a topic are assigned, and only to subscribers', async () => {
  const subscriptions = fc.uniqueArray(
    fc.record({
      memberId: fc.string({ minLength: 1, maxLength: 8 }),
      topics: fc.uniqueArray(fc.constantFrom('events', 'orders', 'other'), { maxLength: 3 }),
    }),
    { selector: ({ memberId }) => memberId, maxLength: 8 },
  )
  await fc.assert(
    fc.asyncProperty(subscriptions, partitionCount, async (members, count) => {
      const assigned = await assignWith(members.map(toMember), ['events'], count)
      const readers = members.filter(({ topics }) => topics.includes('events'))
      assert.ok([...assigned.keys()].every((id) => readers.some(({ memberId }) => memberId === id)))
      const given = [...assigned.values()].flatMap((topics) => topics.events ?? [])
      assert.deepEqual(
        given.toSorted((a, b) => a - b),
        readers.length === 0 ? [] : range(count),
      )
    }),
  )
})

test('if all members subscribe to the topic, name and assignment are those of kafkajs', async () => {
  const members = ['c', 'a', 'b'].map((memberId) => toMember({ memberId, topics: ['events'] }))
  const theirs = PartitionAssigners.roundRobin(configOf(7))
  const ours = subscribersOnly(configOf(7))
  assert.equal(ours.name, theirs.name)
  assert.deepEqual(ours.protocol({ topics: ['events'] }), theirs.protocol({ topics: ['events'] }))
  assert.deepEqual(
    await ours.assign({ members, topics: ['events'] }),
    await theirs.assign({ members, topics: ['events'] }),
  )
})

test('a member whose subscription cannot be decoded gets no partitions', async () => {
  const members = [
    toMember({ memberId: 'a', topics: ['events'] }),
    { memberId: 'b', memberMetadata: Buffer.from([0, 1, 0, 0, 0, 9]) },
    { memberId: 'c', memberMetadata: Buffer.alloc(0) },
  ]
  assert.deepEqual(await assignWith(members, ['events'], 2), new Map([['a', { events: [0, 1] }]]))
})

function range(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index)
}

function toMember({ memberId, topics }: { memberId: string; topics: string[] }): GroupMember {
  return {
    memberId,
    memberMetadata: MemberMetadata.encode({ version: 0, topics, userData: Buffer.alloc(0) }),
  }
}

async function assignWith(
  members: GroupMember[],
  topics: string[],
  partitions: number,
): Promise<Map<string, Record<string, number[]>>> {
  const assignments = await subscribersOnly(configOf(partitions)).assign({ members, topics })
  return new Map(
    assignments.map(({ memberId, memberAssignment }) => [
      memberId,
      { ...MemberAssignment.decode(memberAssignment)?.assignment },
    ]),
  )
}

/** The configuration of an assigner, which only reads the partitions of topics from the cluster. */
function configOf(partitions: number) {
  const findTopicPartitionMetadata = () => range(partitions).map((partitionId) => ({ partitionId }))
  return {
    cluster: { findTopicPartitionMetadata } as unknown as Cluster,
    groupId: 'group',
    logger: undefined as unknown as Logger,
  }
}
