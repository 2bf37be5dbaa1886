import assert from 'node:assert/strict'
import { after, afterEach, before, beforeEach, test } from 'node:test'
import type { NodeService } from '../../embedded/node-service.ts'
import { sinkGroupId } from '../../kafka/sink-group.ts'
import { alarms, textOf } from '../support/diagnosis.ts'
import { leavingOut, membersOf, settled } from '../support/group-members.ts'
import { metricOf } from '../support/metrics.ts'
import { healthOf, postEvents, range } from '../support/sink-faults.ts'
import type { SinkHealth } from '../../tools/stack/sink-health.ts'
import { caughtUp, storedRows, untilHealth } from '../support/sink-health.ts'
import { TwoTopics } from '../support/two-topics.ts'
import { until } from '../support/until.ts'

/* I2: two topics in one consumer group do not lose partitions to each other, and unread partitions are reported. */

const ALL = range(0, 12)
const EVENTS = 500

let stack: TwoTopics
/** New topics and a new group for each test, without members or records of earlier ones. */
let topic = ''
let other = ''
let group = ''
let kafka = ''

before(async () => {
  stack = await TwoTopics.start({ KAFKA_TOPIC_PARTITIONS: '12', KAFKA_SESSION_TIMEOUT_MS: '2000' })
})
beforeEach(async () => {
  ;({ topic, other, group, kafka } = await stack.begin())
})
afterEach(async () => {
  await stack.end()
})
after(async () => {
  await stack.close()
})

test('I2: a sink of another topic does not join the group, reports why, and disturbs no member until the first has left', async () => {
  const api = await stack.startApi(stack.ours)
  const first = await stack.startSink(stack.ours)
  await reads(first, ALL)
  const otherApi = await stack.startApi(stack.theirs)
  const second = await stack.spawnSink(stack.theirs)

  const refused = await paused(second)
  assert.equal(refused.needs_person, true)
  assert.match(refused.reason ?? '', reasonNaming(group, topic, 'firehose-sink'))
  assert.deepEqual(refused.partitions, [])
  assert.deepEqual(refused.group, { id: group, unread_partitions: ALL, other_topics: [topic] })
  assert.equal((await fetch(`${second.url}/readyz`)).status, 503)

  await post(api)
  await post(otherApi)
  await storedRows(stack.pipeline, EVENTS)
  assert.equal(await stack.otherRows(), 0)
  const undisturbed = await healthOf(first)
  assert.deepEqual(partitionsOf(undisturbed), ALL)
  assert.deepEqual(undisturbed.group, { id: group, unread_partitions: [], other_topics: [] })
  assert.equal(stack.joinsOf(first), 1, 'no rebalance')
  assert.equal(await metricOf(second, 'firehose_sink_unread_partitions'), 12)
  assert.equal((await stack.verdict(stack.ours)).ok, true)

  const diagnosis = await stack.doctor(stack.theirs, second)
  assert.deepEqual(alarms(diagnosis.findings), ['critical group', 'critical sink'])
  assert.match(
    textOf(diagnosis.findings, 'group'),
    new RegExp(`No member of group ${group} .* reads partitions 0-11 of "${other}".*"${topic}"`),
  )
  assert.deepEqual(alarms((await stack.doctor(stack.ours, first)).findings), [])
  const { out, code } = await stack.verifyCommand(stack.theirs)
  assert.equal(code, 1)
  assert.match(
    out,
    new RegExp(
      `PROBLEM {2}500 records of partitions 0-11 not yet read, and no member of group ${group} reads them: .*"${topic}"`,
    ),
  )

  await first.stop(10_000)
  await reads(second, ALL)
  await until('the second stores all of its own', async () => (await stack.otherRows()) === EVENTS)
  assert.equal((await stack.verdict(stack.theirs)).ok, true)
})

test('I2: without KAFKA_GROUP_ID each topic has its own group, and both are stored', async () => {
  const first = await stack.startSink({ KAFKA_TOPIC: topic })
  const second = await stack.startSink({ ...stack.theirs, KAFKA_GROUP_ID: '' })
  await post(await stack.startApi(stack.ours))
  await post(await stack.startApi(stack.theirs))
  await storedRows(stack.pipeline, EVENTS)
  await until('the second stores all', async () => (await stack.otherRows()) === EVENTS)
  for (const [sink, name] of [
    [first, topic],
    [second, other],
  ] as const) {
    const health = await reads(sink, ALL)
    assert.deepEqual(health.group, { id: sinkGroupId(name), unread_partitions: [], other_topics: [] })
  }
})

test('I2: the longest valid topic name gives a valid group id', async () => {
  const env = { KAFKA_TOPIC: 'x'.repeat(249) }
  const sink = await stack.startSink(env)
  await post(await stack.startApi(env))
  await storedRows(stack.pipeline, EVENTS)
  assert.equal((await reads(sink, ALL)).group.id, sinkGroupId(env.KAFKA_TOPIC))
})

test('I2: sinks of an earlier version in the old group run beside new ones: all is stored once, and the doctor reports it', async () => {
  const oldGroup = `firehose-sink-old-${topic}`
  const api = await stack.startApi(stack.ours)
  const older = await stack.startSink({ KAFKA_TOPIC: topic, KAFKA_GROUP_ID: oldGroup })
  const newer = await stack.startSink({ KAFKA_TOPIC: topic })
  await Promise.all([reads(older, ALL), reads(newer, ALL)])
  await post(api)
  await storedRows(stack.pipeline, EVENTS)
  const healths = await Promise.all([healthOf(older), healthOf(newer)])
  assert.deepEqual(
    healths.map(({ total_duplicates }) => total_duplicates),
    [0, 0],
  )
  // One that holds records which the other has stored is behind until it loses the fence, and then starts over.
  await Promise.all([caughtUp(older), caughtUp(newer)])
  const { findings } = await stack.doctor({ KAFKA_TOPIC: topic, KAFKA_GROUP_ID: '' }, newer)
  assert.deepEqual(alarms(findings), [], textOf(findings, 'sink'))
  assert.match(textOf(findings, 'group'), new RegExp(`Sinks in group ${oldGroup} also read "${topic}"`))
  assert.equal((await stack.verdict({ KAFKA_TOPIC: topic, KAFKA_GROUP_ID: '' })).ok, true)
})

test('I2: of two sinks that start at the same moment, one gets the group and the other leaves it', async () => {
  const apis = [await stack.startApi(stack.ours), await stack.startApi(stack.theirs)]
  const sinks = await Promise.all([stack.spawnSink(stack.ours), stack.spawnSink(stack.theirs)])
  for (const api of apis) await post(api)
  const settledHealths = await until('one reads all and one is paused', async () => {
    const healths = await Promise.all(sinks.map(healthOf))
    const states = healths.map(({ state }) => state).toSorted()
    return states.join() === 'paused,running' ? healths : undefined
  })
  const winner = settledHealths[0]?.state === 'running' ? 0 : 1
  const loser = winner === 0 ? 1 : 0
  await until('all of the winner is stored', async () => (await stack.rowsOf(winner)) === EVENTS)
  const [won, lost] = await Promise.all([healthOf(sinks[winner]), healthOf(sinks[loser])])
  assert.deepEqual(partitionsOf(won), ALL)
  assert.deepEqual([lost.needs_person, lost.partitions], [true, []])
  await sinks[winner].stop(10_000)
  await until('all of the other is stored', async () => (await stack.rowsOf(loser)) === EVENTS)
})

test('I2: a group led by a consumer of another topic is not joined until that consumer has left', async () => {
  await stack.startApi(stack.theirs) // creates the topic
  const api = await stack.startApi(stack.ours)
  const stranger = await stack.join([other])
  let rebalances = 0
  stranger.on(stranger.events.GROUP_JOIN, () => {
    rebalances += 1
  })
  const sink = await stack.spawnSink(stack.ours)
  const refused = await paused(sink)
  assert.match(refused.reason ?? '', reasonNaming(group, other, 'an-old-one'))
  await post(api)
  const [member, ...more] = await membersOf(kafka, group)
  assert.deepEqual([more, rebalances], [[], 0], 'the sink is not a member and never was')
  assert.deepEqual(member?.assigned.get(other), ALL)
  await stranger.disconnect()
  await reads(sink, ALL)
  await storedRows(stack.pipeline, EVENTS)
})

test('I2: a consumer of another topic that joins later gets no partitions and is reported', async () => {
  await stack.startApi(stack.theirs) // creates the topic
  const api = await stack.startApi(stack.ours)
  const sink = await stack.startSink(stack.ours)
  const stranger = await stack.join([other])
  const mixed = await seen(sink, { unread_partitions: [], other_topics: [other] })
  assert.deepEqual([mixed.state, partitionsOf(mixed)], ['running', ALL])
  assert.equal(await metricOf(sink, 'firehose_sink_other_topics'), 1)
  assert.equal(await metricOf(sink, 'firehose_sink_unread_partitions'), 0)
  assert.match(stack.logOf(sink), /"level":"warn".*has members that read another topic/)
  await post(api)
  await storedRows(stack.pipeline, EVENTS)
  const { findings } = await stack.doctor(stack.ours, sink)
  assert.deepEqual(alarms(findings), ['warning group'])
  assert.match(textOf(findings, 'group'), new RegExp(`another topic, "${other}" \\(an-old-one at`))
  assert.equal((await stack.verdict(stack.ours)).ok, true)
  await stranger.disconnect()
  await seen(sink, { unread_partitions: [], other_topics: [] })
})

test('I2: a sink that returns to a group now led by another topic leaves it', async () => {
  await stack.startApi(stack.theirs) // creates the topic
  const api = await stack.startApi(stack.ours)
  const sink = await stack.startSink(stack.ours)
  const stranger = await stack.join([other])
  await settled(kafka, group, 2)
  await sink.freeze()
  await settled(kafka, group, 1)
  sink.thaw()
  const refused = await paused(sink)
  assert.match(refused.reason ?? '', reasonNaming(group, other, 'an-old-one'))
  assert.deepEqual(refused.partitions, [])
  await settled(kafka, group, 1)
  await post(api)
  await stranger.disconnect()
  await reads(sink, ALL)
  await storedRows(stack.pipeline, EVENTS)
  assert.equal((await stack.verdict(stack.ours)).ok, true)
})

test('I2: partitions that the leader assigns to no member are reported everywhere, and stored once it has left', async () => {
  const api = await stack.startApi(stack.ours)
  const stranger = await stack.join([topic], leavingOut(topic, [0, 1, 2, 3, 4, 7, 11]))
  const sink = await stack.startSink(stack.ours)
  await assertUnread(sink, api, [5, 6, 8, 9, 10], [], 'partitions 5, 6 and 8-10')
  await stranger.disconnect()
  await seen(sink, { unread_partitions: [], other_topics: [] })
  await storedRows(stack.pipeline, EVENTS)
  assert.equal((await stack.verdict(stack.ours)).ok, true)
})

test('I2: partitions that an older leader assigns to a member of another topic are reported everywhere', async () => {
  await stack.startApi(stack.theirs) // creates the topic
  const api = await stack.startApi(stack.ours)
  const older = await stack.join([topic])
  const sink = await stack.startSink(stack.ours)
  await settled(kafka, group, 2)
  const stranger = await stack.join([other])
  await settled(kafka, group, 3)
  const members = await membersOf(kafka, group)
  const lost = members.find(({ topics }) => topics.includes(other))?.assigned.get(topic) ?? []
  assert.equal(lost.length, 4)
  await assertUnread(sink, api, lost, [other])
  await Promise.all([older.disconnect(), stranger.disconnect()])
  await seen(sink, { unread_partitions: [], other_topics: [] })
  await storedRows(stack.pipeline, EVENTS)
})

/** /health, the metrics, the log, the doctor and verify must report exactly these partitions. */
async function assertUnread(
  sink: NodeService,
  api: NodeService,
  unread: readonly number[],
  others: string[],
  words = '',
): Promise<void> {
  const health = await seen(sink, { unread_partitions: [...unread], other_topics: others })
  assert.equal(health.state, 'running')
  assert.equal(await metricOf(sink, 'firehose_sink_unread_partitions'), unread.length)
  assert.ok(stack.logOf(sink).includes(`"unread_partitions":${JSON.stringify(unread)}`))
  await post(api)
  const ends = await stack.partitionEnds()
  const waiting = unread.filter((partition) => (ends.get(partition) ?? 0) > 0)
  const records = waiting.reduce((sum, partition) => sum + (ends.get(partition) ?? 0), 0)
  assert.deepEqual(waiting, unread, 'each unread partition has records')
  const diagnosis = await until('the doctor has seen the rest stored', async () => {
    const found = await stack.doctor(stack.ours, sink)
    return alarms(found.findings).join() === 'critical group' ? found : undefined
  })
  assert.match(
    textOf(diagnosis.findings, 'group'),
    new RegExp(`No member of group ${group} .* reads ${words}`),
  )
  const verdict = await stack.verdict(stack.ours)
  assert.deepEqual(
    [verdict.ok, verdict.group, verdict.unread_partitions, verdict.unread_count],
    [false, group, unread, records],
  )
  assert.deepEqual(verdict.notes, [])
  assert.equal(verdict.problems.length, 1)
  assert.match(
    verdict.problems[0] ?? '',
    new RegExp(`^${records} records of ${words}.* no member of group ${group}`),
  )
}

/** Sends enough requests that every partition gets some. */
async function post(api: NodeService): Promise<void> {
  for (const from of range(0, EVENTS / 5)) await postEvents(api, range(from * 5, 5))
}

async function paused(sink: NodeService): Promise<SinkHealth> {
  return await untilHealth('the sink is paused for a person', sink, ({ state, needs_person }) => {
    return state === 'paused' && needs_person
  })
}

/** Waits until the sink runs and has these partitions. */
async function reads(sink: NodeService, partitions: readonly number[]): Promise<SinkHealth> {
  return await untilHealth('the sink reads its partitions', sink, (health) => {
    return health.state === 'running' && partitionsOf(health).join() === partitions.join()
  })
}

/** Waits until the sink reports this about its group. */
async function seen(sink: NodeService, what: Omit<SinkHealth['group'], 'id'>): Promise<SinkHealth> {
  return await untilHealth(`the sink sees ${JSON.stringify(what)}`, sink, (health) => {
    return (
      health.state === 'running' && JSON.stringify(health.group) === JSON.stringify({ id: group, ...what })
    )
  })
}

function partitionsOf({ partitions }: SinkHealth): number[] {
  return partitions.map(({ partition }) => partition)
}

function reasonNaming(groupId: string, anotherTopic: string, clientId: string): RegExp {
  return new RegExp(
    `group "${groupId}" .*another topic, "${anotherTopic}" \\(${clientId} at [\\d.]+\\).*set a different KAFKA_GROUP_ID for one of the two$`,
  )
}
