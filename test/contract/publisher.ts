import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PublishError } from '../../producer-api/errors.ts'
import { type Publisher } from '../../producer-api/delivery/publisher.ts'
import { recordsOf } from '../support/records-of.ts'
import { withAdmin } from '../support/topic.ts'
import { until } from '../support/until.ts'
import type { Place } from './client.ts'
import { newTopic, recordsIn } from './other-client.ts'

const PARTITIONS = 3

/** What a Publisher promises while Kafka is well. What it does when Kafka is away: outages.ts. */
export function publisherContract({ kafka: { bootstrapServers }, client }: Place): void {
  for (const [way, makePublisher] of Object.entries(client.publishers)) {
    const publishing = async (
      work: (publisher: Publisher, topic: string) => Promise<void>,
      config: Record<string, string> = {},
    ): Promise<void> => {
      const topic = await newTopic(bootstrapServers, PARTITIONS, config)
      const publisher = makePublisher(topic, PARTITIONS)
      try {
        assert.deepEqual(publisher.availablePartitions(), [])
        await new Promise<void>((resolve) => publisher.connect(resolve))
        await work(publisher, topic)
      } finally {
        await publisher.close()
      }
    }
    const valuesIn = async (topic: string, partition: number) =>
      (await recordsIn(bootstrapServers, topic, partition)).map(({ value }) => value)

    test(`Publisher ${way}: no partition is available before Kafka was reached, then all of the topic, none after close()`, async () => {
      let closed: Publisher | undefined
      await publishing(async (publisher) => {
        assert.deepEqual(publisher.availablePartitions(), [0, 1, 2])
        closed = publisher
      })
      assert.deepEqual(closed?.availablePartitions(), [])
    })

    test(`Publisher ${way}: a send is these records, in this order, in this partition, from the base offset on`, async () => {
      await publishing(async (publisher, topic) => {
        const first = [recordsOf(text('a'), text('b')), recordsOf(text('c'))]
        assert.deepEqual(await publisher.publish(1, first), { baseOffset: 0n })
        const large = Buffer.alloc(100_000, 'x')
        assert.deepEqual(await publisher.publish(1, [recordsOf(large, text(''))]), { baseOffset: 3n })
        assert.deepEqual(await publisher.publish(1, first), { baseOffset: 5n }, 'the same bytes once more')
        const stored = await recordsIn(bootstrapServers, topic, 1)
        assert.deepEqual(
          stored.map(({ value }) => value),
          ['a', 'b', 'c', large.toString(), '', 'a', 'b', 'c'],
        )
        assert.deepEqual(
          stored.map(({ offset }) => offset),
          [0n, 1n, 2n, 3n, 4n, 5n, 6n, 7n],
        )
        assert.deepEqual(await endsOf(bootstrapServers, topic), [0, 8, 0])
      })
    })

    test(`Publisher ${way}: sends at the same time are told apart, and those of a partition too`, async () => {
      await publishing(async (publisher, topic) => {
        const sends = Array.from({ length: 30 }, async (_, n) => {
          const { baseOffset } = await publisher.publish(n % 2, [recordsOf(text(`${n}`), text(`${n}+`))])
          return { n, baseOffset: Number(baseOffset) }
        })
        const answers = await Promise.all(sends)
        for (const partition of [0, 1]) {
          const expected: string[] = []
          for (const { n, baseOffset } of answers.filter((answer) => answer.n % 2 === partition))
            [expected[baseOffset], expected[baseOffset + 1]] = [`${n}`, `${n}+`]
          assert.deepEqual(await valuesIn(topic, partition), expected)
        }
      })
    })

    test(`Publisher ${way}: a record has its key and headers, one without has none`, async () => {
      await publishing(async (publisher, topic) => {
        const header = { name: 'traceparent', value: text('00-1-2-01') }
        const extras = [{ key: text('k'), headers: [header] }, undefined, { key: text('only') }]
        await publisher.publish(0, [{ ...recordsOf(text('a'), text('b'), text('c')), extras }])
        assert.deepEqual(await recordsIn(bootstrapServers, topic, 0), [
          { offset: 0n, key: 'k', value: 'a', headers: { traceparent: '00-1-2-01' } },
          { offset: 1n, key: null, value: 'b', headers: {} },
          { offset: 2n, key: 'only', value: 'c', headers: {} },
        ])
      })
    })

    test(`Publisher ${way}: what Kafka finds too large is refused as that, nothing of it is written, the next send passes`, async () => {
      await publishing(
        async (publisher, topic) => {
          const error = await publishError(publisher.publish(0, [recordsOf(text('a'), Buffer.alloc(20_000))]))
          assert.deepEqual([error.tooLarge, error.retryable, error.mayHaveWritten], [true, false, false])
          assert.ok(publisher.availablePartitions().includes(0))
          assert.deepEqual(await publisher.publish(0, [recordsOf(text('a'))]), { baseOffset: 0n })
          assert.deepEqual(await valuesIn(topic, 0), ['a'])
        },
        { 'max.message.bytes': '10000' },
      )
    })

    test(`Publisher ${way}: a partition that the topic does not have is an error, and nothing is written`, async () => {
      await publishing(async (publisher, topic) => {
        const error = await publishError(publisher.publish(PARTITIONS, [recordsOf(text('a'))]))
        assert.equal(error.mayHaveWritten, false)
        assert.deepEqual(await endsOf(bootstrapServers, topic), [0, 0, 0])
      })
    })
  }

  test('Publisher: a partition that is added to the topic becomes available while it sends', async () => {
    const publishers = Object.values(client.publishers).map(async (makePublisher) => {
      const topic = await newTopic(bootstrapServers, 1)
      const publisher = makePublisher(topic, 1)
      try {
        await new Promise<void>((resolve) => publisher.connect(resolve))
        await publisher.publish(0, [recordsOf(text('before'))])
        await withAdmin(bootstrapServers, async (admin) => {
          await admin.createPartitions({ topicPartitions: [{ topic, count: 2 }] })
        })
        await until('it is available', async () => {
          await publisher.publish(0, [recordsOf(text('on'))])
          return publisher.availablePartitions().includes(1)
        })
        assert.deepEqual(await publisher.publish(1, [recordsOf(text('new'))]), { baseOffset: 0n })
      } finally {
        await publisher.close()
      }
    })
    await Promise.all(publishers)
  })
}

function text(value: string): Buffer {
  return Buffer.from(value)
}

/** What a send fails with: always this kind. */
export async function publishError(send: Promise<unknown>): Promise<PublishError> {
  const error: unknown = await send.then(
    () => assert.fail('it must fail'),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof PublishError, String(error))
  return error
}

async function endsOf(bootstrapServers: string, topic: string): Promise<number[]> {
  return await withAdmin(bootstrapServers, async (admin) => {
    const ends = await admin.fetchTopicOffsets(topic)
    return ends.toSorted((a, b) => a.partition - b.partition).map(({ high }) => Number(high))
  })
}
