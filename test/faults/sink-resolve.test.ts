import assert from 'node:assert/strict'
import { after, afterEach, beforeEach, test } from 'node:test'
import type { Message } from 'kafkajs'
import type { NodeService } from '../../embedded/node-service.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { record, transactionalProducer, withProducer } from '../support/records.ts'
import { sinkCommand } from '../support/sink-command.ts'
import { caughtUp, stopped, storedRows, untilHealth } from '../support/sink-health.ts'
import { configureTopic, createTopic, deleteTopic, forgetAll } from '../support/topic.ts'

/* I9: what stops a partition, and how an operator resolves it, while the sink runs and while it is stopped. */

const pipeline = await Pipeline.start({ KAFKA_TOPIC_PARTITIONS: '3', KAFKA_SESSION_TIMEOUT_MS: '2000' })
const { bootstrapServers } = pipeline.backend.kafka
let sink: NodeService

beforeEach(async () => {
  await forgetAll(pipeline)
  sink = await pipeline.startSink()
  await caughtUp(sink)
})
afterEach(async () => {
  await sink.stop(10_000)
})
after(async () => {
  await pipeline.close()
})

test('I9: a recreated topic of the same length stops only the affected partition, and adopt moves only that one', async () => {
  await send(0, ...numbers(0, 10))
  await send(1, ...numbers(10, 5))
  await storedRows(pipeline, 15)
  await sink.stop(10_000)
  await recreate()
  await send(0, ...numbers(100, 10))
  await send(1, ...numbers(10, 5)) // the same records again
  await send(2, 300)
  sink.spawn()
  const { reason, partitions } = await stopped(sink)
  assert.match(reason ?? '', /record at offset 9 is not the one that was written.*npx firehose adopt/)
  assert.deepEqual(
    partitions.filter((partition) => partition.stopped !== undefined).map(({ partition }) => partition),
    [0],
  )
  await storedRows(pipeline, 16) // the others continue

  const before = await offsets()
  const dry = await command('adopt', '--dry-run')
  assert.match(dry, /partition 0 is stopped: the record at offset 9/)
  assert.match(dry, /partition 0: from 10, next offset would be 0\nNothing was moved/)
  assert.deepEqual(await offsets(), before, 'a dry run moves nothing')

  assert.doesNotMatch(await command('adopt'), /partition [12]/)
  await storedRows(pipeline, 26)
  assert.equal((await caughtUp(sink)).total_dead, 0)
  assert.match(await command('adopt'), /^Nothing to adopt\./)
  assert.match(await command('adopt', '--dry-run'), /^Nothing to adopt\. \(.*--all.*\)\n$/)
  assert.match(await command('adopt', '--all'), /partition 2: from 1, next offset is now 0/)
  await caughtUp(sink)
  assert.equal(await pipeline.countEvents(), 26)
})

test('I9: adopt detects a recreated topic with an aborted record at the offset of the last one', async () => {
  await send(0, 1)
  await untilHealth('stored', sink, ({ total_stored }) => total_stored === 1)
  await sink.stop(10_000)
  await recreate()
  const producer = await transactionalProducer(bootstrapServers, 'another')
  const transaction = await producer.transaction()
  await transaction.send({ topic: 'events', messages: [{ value: record(1), partition: 0 }] })
  await transaction.abort()
  await producer.disconnect()
  const said = await command('adopt', '--dry-run')
  assert.match(said, /^partition 0 is stopped: the record at offset 0, written before, is gone/)
  assert.doesNotMatch(said, /partition [12] is stopped/)
})

test('I9: a topic recreated shorter while the sink runs stops it with a reason; adopt resolves it while it runs', async () => {
  await send(0, ...numbers(0, 20))
  await storedRows(pipeline, 20)
  await recreate()
  await send(0, ...numbers(100, 5))
  const { reason } = await stopped(sink)
  assert.match(reason ?? '', /ends at offset \d, but 20 was written/)
  assert.equal(await pipeline.countEvents(), 20)
  assert.match(await command('adopt', '--partition', '0'), /^partition 0: from 20, next offset is now 0\n$/)
  await storedRows(pipeline, 25)
  await caughtUp(sink)
})

test('I9: the sink reports a deleted topic and waits for it; an empty one created again stops the partition', async () => {
  await send(0, ...numbers(0, 20))
  await storedRows(pipeline, 20)
  await deleteTopic(bootstrapServers)
  const { reason } = await untilHealth('paused', sink, ({ state }) => state === 'paused')
  assert.match(reason ?? '', /topic/i)
  await createTopic(bootstrapServers, 3)
  await stopped(sink)
  await sink.stop(10_000)
  assert.match(await command('adopt'), /partition 0: from 20, next offset is now 0/)
  await send(0, ...numbers(100, 5))
  await sink.start()
  await storedRows(pipeline, 25)
})

test('I9: the sink and adopt refuse a compacted topic until it is no longer compacted', async () => {
  await send(0, ...numbers(0, 5))
  await storedRows(pipeline, 5)
  await sink.stop(10_000)
  await configureTopic(bootstrapServers, 'cleanup.policy', 'compact')
  await sendMessages(0, [{ key: 'compacted topics want one', value: record(5) }])
  sink.spawn()
  const { reason } = await stopped(sink)
  assert.equal(reason, 'the topic is compacted, which deletes events: set its cleanup.policy to "delete"')
  await assert.rejects(command('adopt'), /Nothing was moved: the topic is compacted/)
  assert.equal(await pipeline.countEvents(), 5)
  await configureTopic(bootstrapServers, 'cleanup.policy', 'delete')
  await storedRows(pipeline, 6)
})

test('rewind --to-time reads records again from that time on, even while an idle sink runs', async () => {
  await configureTopic(bootstrapServers, 'message.timestamp.type', 'CreateTime')
  const nowMs = Date.now()
  const at = (n: number, ageMs: number): Message => ({ value: record(n), timestamp: String(nowMs - ageMs) })
  await sendMessages(
    0,
    numbers(0, 5).map((n) => at(n, 3_600_000)),
  )
  await sendMessages(
    0,
    numbers(5, 5).map((n) => at(n, 60_000)),
  )
  await send(1, 20)
  await storedRows(pipeline, 11)
  await pipeline.query('DELETE FROM events WHERE user_id BETWEEN 3 AND 7')
  const time = new Date(nowMs - 1_800_000).toISOString()
  const said = await command('rewind', '--to-time', time)
  assert.match(
    said,
    /partition 0: from 10, next offset is now 5\npartition 1: from 1, next offset is now 0\n/,
  )
  await storedRows(pipeline, 9)
  const { total_duplicates } = await caughtUp(sink)
  assert.equal(total_duplicates, 3, '8, 9 and 20')

  await pipeline.query('DELETE FROM events WHERE user_id < 5')
  assert.match(await command('rewind', '--to', '0', '--partition', '0'), /from 10, next offset is now 0/)
  await storedRows(pipeline, 11)
})

test('I9: rewind never skips unread records', async () => {
  await send(0, ...numbers(0, 5))
  await storedRows(pipeline, 5)
  await sink.stop(10_000)
  await send(0, ...numbers(5, 5))
  const said = await command('rewind', '--to', '8', '--partition', '0')
  assert.equal(said, 'partition 0: from 5, next offset is now 5\n')
  await sink.start()
  await storedRows(pipeline, 10)
})

test('adopt and rewind report a wrong command in one sentence, and move nothing', async () => {
  const before = await offsets()
  for (const [args, sentence] of [
    [['adopt', '--to', '3'], /--to and --to-time are options of "rewind"/],
    [['rewind'], /"rewind" needs either --to or --to-time/],
    [['rewind', '--to', '1', '--to-time', '2026-01-01'], /needs either/],
    [['rewind', '--to-time', 'yesterday'], /must be an RFC 3339 time such as .*, not "yesterday"/],
    [['rewind', '--to', '-1'], /.*/],
    [['adopt', '--partition', 'x'], /--partition must be a number, not "x"/],
    [['adopt', '--all', '--partition', '1'], /cannot be combined/],
    [['adpot'], /There is no command "adpot"/],
    [['adopt', '--partition', '99'], /Nothing was moved: Kafka does not know partition 99/],
    [
      ['rewind', '--to', '1', '--partition', '0'],
      /Nothing was moved: partition 0 ends at offset 0, before 1/,
    ],
  ] as const) {
    await assert.rejects(command(...args), (error: Error & { stderr: string; code: number }) => {
      assert.match(error.stderr, sentence)
      assert.equal(error.stderr.trim().split('\n').length, 1, error.stderr)
      assert.ok([1, 64].includes(error.code))
      return true
    })
  }
  assert.deepEqual(await offsets(), before)
})

function numbers(from: number, count: number): number[] {
  return Array.from({ length: count }, (_, index) => from + index)
}

async function send(partition: number, ...ns: number[]): Promise<void> {
  await sendMessages(
    partition,
    ns.map((n) => ({ value: record(n) })),
  )
}

async function sendMessages(partition: number, messages: Message[]): Promise<void> {
  await withProducer(bootstrapServers, async (produce) => {
    await produce(messages.map((message) => ({ ...message, partition })))
  })
}

async function recreate(): Promise<void> {
  await deleteTopic(bootstrapServers)
  await createTopic(bootstrapServers, 3)
}

async function command(...args: string[]): Promise<string> {
  return await sinkCommand(pipeline.env, ...args)
}

async function offsets(): Promise<unknown[]> {
  return await pipeline.query('SELECT * FROM sink_offsets ORDER BY partition')
}
