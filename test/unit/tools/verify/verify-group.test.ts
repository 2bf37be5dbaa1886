import assert from 'node:assert/strict'
import { test } from 'node:test'
import { emptyVerdict, type Verdict } from '../../../../tools/verify/verdict.ts'
import type { VerifyContext } from '../../../../tools/verify/verify-context.ts'
import { noteUnreadPartitions } from '../../../../tools/verify/verify-group.ts'
import type { GroupDescription } from '../../../../kafka/group-members.ts'

/** The verdict for these numbers of unread records by partition; each call describes the group as the next of `found`. */
async function verdictOf(
  waiting: [number, number][],
  ...found: (GroupDescription | Error)[]
): Promise<Verdict> {
  const verdict = emptyVerdict('the-group')
  const context = { topic: 'events', verdict, notYetRead: new Map(waiting) } as unknown as VerifyContext
  let calls = 0
  await noteUnreadPartitions(context, async () => {
    const group = found[Math.min(calls++, found.length - 1)]
    if (group === undefined || group instanceof Error) throw group ?? new Error('unexpected call')
    return group
  })
  return verdict
}

function stable(partitions: number[], topics = ['events']): GroupDescription {
  const assigned = new Map([['events', partitions]])
  return {
    state: 'Stable',
    members: [{ memberId: 'a', clientId: 'a-client', host: '10.0.0.1', topics, assigned }],
  }
}

const rebalance: GroupDescription = { ...stable([], []), state: 'PreparingRebalance' }

test('nothing is noted if everything is or will be read, and the group is described only if records wait', async () => {
  const calm = emptyVerdict('the-group')
  assert.deepEqual(await verdictOf([]), calm)
  assert.deepEqual(await verdictOf([[1, 5]], stable([0, 1])), calm)
})

test('partitions that an active group does not read are a problem, with partitions, records and group', async () => {
  const verdict = await verdictOf(
    [
      [0, 7],
      [1, 1],
      [3, 4],
    ],
    rebalance,
    stable([0]),
  )
  assert.deepEqual([verdict.unread_partitions, verdict.unread_count, verdict.notes], [[1, 3], 5, []])
  assert.deepEqual(verdict.problems, [
    '5 records of partitions 1 and 3 not yet read, and no member of group the-group reads them: sinks find new ' +
      'partitions within half a minute; after that, restart the members of the group',
  ])
})

test('a member that reads another topic is named, with the remedy', async () => {
  const { problems } = await verdictOf([[2, 1]], stable([2], ['orders']))
  assert.match(
    problems[0] ?? '',
    /^1 record of partition 2 not yet read.* "orders" \(a-client at 10\.0\.0\.1\): set a different KAFKA_GROUP_ID/,
  )
})

test('a group without members and one that cannot be described give notes', async () => {
  const nobody = await verdictOf([[2, 3]], { state: 'Empty', members: [] })
  assert.deepEqual([nobody.problems, nobody.unread_partitions, nobody.unread_count], [[], [2], 3])
  assert.match(nobody.notes[0] ?? '', /^group the-group has no members: 3 records of partition 2/)
  const refusal = Object.assign(new Error('Not authorized'), { type: 'GROUP_AUTHORIZATION_FAILED' })
  const refused = await verdictOf([[2, 3]], refusal)
  assert.deepEqual([refused.problems, refused.unread_partitions], [[], []])
  assert.match(refused.notes[0] ?? '', /group the-group cannot be described: GROUP_AUTHORIZATION_FAILED$/)
})
