import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { toGroupDescription } from '../../../kafka/group-description.ts'
import {
  type GroupMember,
  assessGroup,
  formatPartitions,
  formatReaders,
} from '../../../kafka/group-members.ts'
import { sinkGroupId } from '../../../kafka/sink-group.ts'

const ALL = [0, 1, 2, 3]

function member(topics: string[], assigned: Record<string, number[]>, host = 'h'): GroupMember {
  return { memberId: host, clientId: 'c', host, topics, assigned: new Map(Object.entries(assigned)) }
}

test('a partition is read only by a member that subscribes to the topic', () => {
  const members = [
    member(['events'], { events: [0, 2] }),
    member(['orders'], { events: [1, 3], orders: [0] }, 'other'),
  ]
  assert.deepEqual(assessGroup({ state: 'Stable', members }, 'events', ALL), {
    unreadPartitions: [1, 3],
    others: [{ topic: 'orders', clientId: 'c', host: 'other' }],
  })
  assert.deepEqual(assessGroup({ state: 'Stable', members }, 'orders', [0])?.unreadPartitions, [])
})

test('a member that subscribes to several topics reads all of them', () => {
  const members = [member(['audit', 'events'], { events: ALL })]
  assert.deepEqual(assessGroup({ state: 'Stable', members }, 'events', ALL), {
    unreadPartitions: [],
    others: [{ topic: 'audit', clientId: 'c', host: 'h' }],
  })
})

test('nothing is known during a rebalance; without members every partition is unread', () => {
  const members = [member([], {})]
  for (const state of ['PreparingRebalance', 'CompletingRebalance'])
    assert.equal(assessGroup({ state, members }, 'events', ALL), undefined)
  for (const state of ['Empty', 'Dead']) {
    const assessment = assessGroup({ state, members: [] }, 'events', ALL)
    assert.deepEqual(assessment, { unreadPartitions: ALL, others: [] })
  }
})

test('a topic may have the name of an object property', () => {
  const assessment = assessGroup({ state: 'Stable', members: [member(['events'], {})] }, 'constructor', [0])
  assert.deepEqual(assessment?.unreadPartitions, [0])
})

test('every partition is either read or unread', () => {
  const topics = fc.subarray(['events', 'orders'])
  const some = fc.subarray(ALL)
  fc.assert(
    fc.property(fc.array(fc.tuple(topics, some)), (given) => {
      const members = given.map(([subscribed, events]) => member(subscribed, { events }))
      const unread = assessGroup({ state: 'Stable', members }, 'events', ALL)?.unreadPartitions ?? []
      const read = given.flatMap(([subscribed, events]) => (subscribed.includes('events') ? events : []))
      assert.deepEqual(
        [...new Set([...unread, ...read])].toSorted((a, b) => a - b),
        ALL,
      )
      assert.ok(unread.every((partition) => !read.includes(partition)))
    }),
  )
})

test('partitions are named completely, as ranges', () => {
  assert.equal(formatPartitions([3]), 'partition 3')
  assert.equal(formatPartitions([0, 2]), 'partitions 0 and 2')
  assert.equal(formatPartitions([0, 1, 2, 5, 7, 8]), 'partitions 0-2, 5, 7 and 8')
  assert.equal(formatPartitions([0, 1, 2, 3]), 'partitions 0-3')
})

test('only the first of many other readers are named', () => {
  const others = ['a', 'b', 'c', 'd', 'e'].map((topic) => ({ topic, clientId: 'c', host: 'h' }))
  assert.equal(formatReaders(others.slice(0, 1)), '"a" (c at h)')
  const odd = formatReaders([{ topic: 'a', clientId: `\u001b[2J${'x'.repeat(1_000)}`, host: 'h' }])
  assert.ok(!odd.includes('\u001b') && odd.length < 120, 'client ids are chosen by clients')
  assert.equal(formatReaders(others), '"a" (c at h), "b" (c at h), "c" (c at h) and 2 more')
})

test('member data that cannot be decoded are empty; a group that does not exist is dead', () => {
  const junk = Buffer.from([0])
  const { members } = toGroupDescription({
    groupId: 'g',
    protocol: '',
    protocolType: 'consumer',
    state: 'Stable',
    members: [
      { memberId: 'm', clientId: 'c', clientHost: '/10.0.0.1', memberMetadata: junk, memberAssignment: junk },
    ],
  })
  assert.deepEqual(members, [
    { memberId: 'm', clientId: 'c', host: '10.0.0.1', topics: [], assigned: new Map() },
  ])
  assert.deepEqual(toGroupDescription(undefined), { state: 'Dead', members: [] })
})

test('the default group follows the topic', () => {
  assert.equal(sinkGroupId('events'), 'firehose-sink-events')
  assert.equal(sinkGroupId('orders', 'mine'), 'mine')
})
