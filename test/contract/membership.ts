import assert from 'node:assert/strict'
import { test } from 'node:test'
import { joinGroup, membersOf } from '../support/group-members.ts'
import { until } from '../support/until.ts'
import type { Place } from './client.ts'
import { newTopic, send, withSender } from './other-client.ts'
import type { Recorder } from './recorder.ts'
import { arrived, groupOf, sourcesOf } from './running-source.ts'

const SHORT_SESSION_MS = 1_000
const JOIN_BOUND_MS = 10_000

/** What a RecordSource promises as a member of its group. */
export function membershipContract({ kafka: { bootstrapServers }, client }: Place): void {
  const running = sourcesOf(client)

  test('RecordSource: a member that comes gets its share, one that stops leaves at once; each is told before it is delivered anything', async (t) => {
    const topic = await newTopic(bootstrapServers, 4)
    const positions = new Map<number, bigint>()
    const both = (): Recorder[] => [one.recorder, other.recorder]
    const one = running(t, topic, { positions })
    await until('all are assigned', () => one.recorder.of('assigned').at(-1)?.partitions.length === 4)
    const other = running(t, topic, { positions })
    await withSender(bootstrapServers, topic, async (produce) => {
      let sent = 0
      const produceAll = async (): Promise<void> => {
        for (const partition of [0, 1, 2, 3]) await produce(partition, `${sent++}`)
      }
      await until('they share', async () => {
        await produceAll()
        return both().every((each) => each.of('assigned').at(-1)?.partitions.length === 2)
      })
      const given = both().flatMap((each) => [...(each.of('assigned').at(-1)?.partitions ?? [])])
      assert.deepEqual([given.length, new Set(given)], [4, new Set([0, 1, 2, 3])])
      await produceAll()
      const values = (each: Recorder) => [0, 1, 2, 3].flatMap((partition) => each.values(partition))
      const isAll = (): boolean => new Set(both().flatMap(values)).size === sent
      await until('all records came', isAll)
      await other.end()
      assert.equal((await membersOf(bootstrapServers, groupOf(topic))).length, 1)
      await until('the first has all', () => one.recorder.of('assigned').at(-1)?.partitions.length === 4)
      await produceAll()
      await until('all records came', isAll)
    })
    for (const { calls } of both()) assertOnlyAssigned(calls)
  })

  test('RecordSource: while a batch is pending for longer than the session timeout, the membership is kept', async (t) => {
    const topic = await newTopic(bootstrapServers)
    await send(bootstrapServers, topic, 0, 'a')
    const release = Promise.withResolvers<void>()
    t.after(() => release.resolve()) // before it is stopped
    const { recorder } = running(t, topic, { session: SHORT_SESSION_MS })
    recorder.decide = async () => {
      await release.promise
      return 'take'
    }
    await until('it is pending', () => recorder.values().length === 1)
    const members = async () =>
      (await membersOf(bootstrapServers, groupOf(topic))).map(({ memberId }) => memberId)
    const before = await members()
    assert.equal(before.length, 1)
    const end = performance.now() + 3 * SHORT_SESSION_MS
    await until('three sessions are over', async () => {
      assert.deepEqual(await members(), before)
      return performance.now() > end
    })
    release.resolve()
    await send(bootstrapServers, topic, 0, 'b')
    await arrived(recorder, ['a', 'b'])
    assert.deepEqual([recorder.of('assigned').length, recorder.of('membershipLost').length], [1, 0])
  })

  test('RecordSource: a record with thousands of headers is delivered, and does not cost the membership', async (t) => {
    const topic = await newTopic(bootstrapServers)
    const headers = Object.fromEntries(Array.from({ length: 6_000 }, (_, n) => [`header-${n}`, 'x']))
    await send(bootstrapServers, topic, 0, { value: 'a', headers })
    const { recorder } = running(t, topic, { session: SHORT_SESSION_MS })
    let found = 0
    recorder.decide = async ({ records: [record] }) => {
      found = Math.max(found, Object.keys(record?.headers ?? {}).length)
      return 'take'
    }
    await arrived(recorder, ['a'])
    await send(bootstrapServers, topic, 0, 'b')
    await arrived(recorder, ['a', 'b'])
    assert.deepEqual(
      [found, recorder.of('assigned').length, recorder.of('membershipLost').length],
      [6_000, 1, 0],
    )
  })

  test('RecordSource: shares the topic with a sink of an earlier version, whichever of the two came first', async (t) => {
    for (const isFirst of [false, true]) {
      const topic = await newTopic(bootstrapServers, 2)
      const older = async (): Promise<void> => {
        const consumer = await joinGroup(bootstrapServers, groupOf(topic), [topic])
        t.after(async () => await consumer.disconnect())
      }
      if (!isFirst) await older()
      const { recorder } = running(t, topic, { session: SHORT_SESSION_MS })
      await until('it has joined', () => recorder.calls.length > 0)
      if (isFirst) await older()
      await until(
        'it has its half',
        () => recorder.of('assigned').at(-1)?.partitions.length === 1,
        JOIN_BOUND_MS,
      )
      assert.equal(recorder.of('membershipLost').length, 0)
    }
  })
}

/** Nothing is delivered of a partition that the last onAssigned() did not name. */
function assertOnlyAssigned(calls: Recorder['calls']): void {
  let assigned: readonly number[] = []
  for (const each of calls) {
    if (each.kind === 'assigned') assigned = each.partitions
    if (each.kind === 'batch') assert.ok(assigned.includes(each.partition), JSON.stringify(assigned))
  }
}
