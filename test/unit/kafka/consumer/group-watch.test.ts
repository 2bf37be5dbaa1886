import { OtherTopicError } from '../../../../kafka/errors.ts'
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { GroupDescription, GroupMember } from '../../../../kafka/group-members.ts'
import { createLogger } from '../../../../platform/log.ts'
import { explainFailure, GroupWatch, type DescribeGroup } from '../../../../kafka/consumer/group-watch.ts'
import { classifyError } from '../../../../sink-worker/outage/sqlstate.ts'
import { until } from '../../../support/until.ts'

const PARTITIONS = [0, 1, 2]

function member(memberId: string, topic: string, partitions: number[] = []): GroupMember {
  const assigned = new Map([[topic, partitions]])
  return { memberId, clientId: 'a-client', host: '10.0.0.1', topics: [topic], assigned }
}

const stable = (...members: GroupMember[]): GroupDescription => ({ state: 'Stable', members })
const rebalance: GroupDescription = { state: 'PreparingRebalance', members: [member('a', '')] }

/** Each call returns the next of these, and finally the last one repeatedly. */
function describing(...found: (GroupDescription | Error)[]): DescribeGroup & { count: () => number } {
  let count = 0
  const describe: DescribeGroup = async () => {
    const group = found[Math.min(count++, found.length - 1)] as GroupDescription | Error
    if (group instanceof Error) throw group
    return { group, partitions: PARTITIONS }
  }
  return Object.assign(describe, { count: () => count })
}

function watchOf(): GroupWatch {
  return new GroupWatch('the-group', 'events', createLogger('test', 'silent'))
}

const refusal = (): Error =>
  Object.assign(new Error('Not authorized'), { type: 'GROUP_AUTHORIZATION_FAILED' })

test('a group without members, or with members of the same topic, may be joined; its status is unknown before', async () => {
  const watch = watchOf()
  await watch.beforeJoin(describing({ state: 'Dead', members: [] }))
  await watch.beforeJoin(describing(stable(member('a', 'events', PARTITIONS))))
  assert.deepEqual(watch.status, { id: 'the-group', unread_partitions: null, other_topics: null })
})

test('a group with a member of another topic is not joined; the error needs an operator, and the status shows it', async () => {
  const watch = watchOf()
  const error = await watch
    .beforeJoin(describing(stable(member('a', 'orders', [0]))))
    .catch((thrown: unknown) => thrown)
  assert.ok(error instanceof OtherTopicError)
  assert.equal(
    error.message,
    'consumer group "the-group" has a member that reads another topic, "orders" (a-client at 10.0.0.1); consumers ' +
      'of different topics in one group take partitions from each other: set a different KAFKA_GROUP_ID for one of the two',
  )
  assert.equal(classifyError(error), 'halt')
  const { unread_partitions, other_topics } = watch.status
  assert.deepEqual([unread_partitions, other_topics], [PARTITIONS, ['orders']])
})

test('beforeJoin() waits for the end of a rebalance', async () => {
  const describe = describing(rebalance, stable(member('a', 'orders')))
  await assert.rejects(watchOf().beforeJoin(describe), OtherTopicError)
  assert.equal(describe.count(), 2)
})

test('a group that may not be described is joined anyway, but not during an outage', async () => {
  const watch = watchOf()
  await watch.beforeJoin(describing(refusal()))
  assert.equal(watch.status.unread_partitions, null)
  await assert.rejects(watch.beforeJoin(describing(new Error('connection reset'))), /connection reset/)
})

test('an error of a group that may not be joined names the group and the remedy; other errors are unchanged', () => {
  const error = explainFailure(refusal(), 'the-group')
  assert.match(
    error.message,
    /access to consumer group "the-group" .*: grant Read on the group, or set KAFKA_GROUP_ID/,
  )
  assert.equal(classifyError(error), 'halt')
  const unnamed = Object.assign(new Error('x'), { name: 'KafkaJSGroupCoordinatorNotFound' })
  const explained = explainFailure(new Error('y', { cause: unnamed }), 'the-group')
  assert.match(
    explained.message,
    /no coordinator of consumer group "the-group": if this persists, grant this user Read/,
  )
  assert.equal(classifyError(explained), 'outage', 'it may be temporary')
  const other = new Error('connection reset')
  assert.equal(explainFailure(other, 'the-group'), other)
})

test('the last known status is kept during rebalances and failures', async () => {
  const watch = watchOf()
  const describe = describing(stable(member('a', 'events', [0, 2])), rebalance, new Error('gone'))
  watch.afterJoin(describe, 'a', assert.fail)
  await until('it was seen', () => watch.status.unread_partitions !== null)
  watch.afterJoin(describe, 'a', assert.fail)
  await until('it was described again', () => describe.count() === 3)
  watch.stop()
  assert.deepEqual(watch.status, { id: 'the-group', unread_partitions: [1], other_topics: [] })
})

test('the topic of the leader decides which members stay', async () => {
  const watch = watchOf()
  const mixed = stable(member('a', 'events', PARTITIONS), member('b', 'orders'))
  watch.afterJoin(describing(mixed), 'a', assert.fail)
  await until('it was seen', () => watch.status.other_topics?.length === 1)
  const error = await new Promise<Error>((resolve) => {
    watch.afterJoin(describing(mixed), 'b', resolve)
  })
  assert.ok(error instanceof OtherTopicError)
  watch.stop()
})

test('a description requested in an earlier membership is ignored', async () => {
  const watch = watchOf()
  const answer = Promise.withResolvers<Awaited<ReturnType<DescribeGroup>>>()
  watch.afterJoin(async () => await answer.promise, 'b', assert.fail)
  watch.stop()
  answer.resolve({ group: stable(member('b', 'orders')), partitions: PARTITIONS })
  await answer.promise
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(watch.status.other_topics, null)
})
