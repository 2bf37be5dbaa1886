import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { HttpTap } from '../../../../tools/drill/http-tap.ts'
import { KafkaTap } from '../../../../tools/drill/kafka-tap.ts'
import { PostgresTap } from '../../../../tools/drill/postgres-tap.ts'
import type { Passage, Side, Tap } from '../../../../tools/drill/tcp-proxy.ts'

const message = (type: string, body: string | Buffer): Buffer => {
  const bytes = Buffer.concat([Buffer.from(type), Buffer.alloc(4), Buffer.from(body)])
  bytes.writeInt32BE(bytes.length - type.length, type.length)
  return bytes
}
const query = (sql: string): [Side, Buffer] => ['client', message('Q', `${sql}\0`)]
const completed = (tag: string): [Side, Buffer] => ['server', message('C', `${tag}\0`)]

const TRANSACTION: [Side, Buffer][] = [
  ['client', message('', Buffer.from('\0\x03\0\0user\0sink\0\0', 'latin1'))],
  query('SELECT 1'),
  completed('SELECT 1'),
  query('COMMIT'), // of a transaction without a fence
  completed('COMMIT'),
  query('/* fence 1 */ BEGIN; UPDATE sink_offsets'),
  completed('UPDATE 1'),
  query('COPY events (event_id) FROM STDIN (FORMAT binary)'),
  ['client', message('d', Buffer.alloc(2_000, 'x'))],
  ['client', message('d', 'more')],
  completed('COPY 3'),
  query('COMMIT'),
  completed('COMMIT'),
]

/** Feeds a tap in chunks of the given sizes, in turn. */
function feed(tap: Tap, conversation: [Side, Buffer][], sizes: readonly number[]): Passage[] {
  let turn = 0
  return conversation.flatMap(([from, bytes]) => {
    const passages: Passage[] = []
    for (let at = 0; at < bytes.length; ) {
      const end = at + (sizes[turn++ % sizes.length] ?? bytes.length)
      passages.push(...tap.see(from, bytes.subarray(at, end)))
      at = end
    }
    return passages
  })
}

const sizes = fc.array(fc.integer({ min: 1, max: 300 }), { minLength: 1, maxLength: 20 })

test("each moment of a sink's transaction is recognised once, however the bytes are split, and all bytes pass", () => {
  fc.assert(
    fc.property(sizes, (chunkSizes) => {
      const passages = feed(new PostgresTap(), TRANSACTION, chunkSizes)
      assert.deepEqual(
        passages.flatMap(({ sightings }) => sightings.map(({ moment, hold }) => `${hold} ${moment}`)),
        [
          'before before_fence',
          'after within_copy',
          'before before_commit',
          'before before_commit_answer',
          'after before_hint',
        ],
      )
      assert.deepEqual(
        Buffer.concat(passages.map(({ bytes }) => bytes)),
        Buffer.concat(TRANSACTION.map(([, bytes]) => bytes)),
      )
    }),
  )
})

/** A message with its size, which, unlike in PostgreSQL, does not include the size field. */
function sized(body: Buffer): Buffer {
  const size = Buffer.alloc(4)
  size.writeInt32BE(body.length)
  return Buffer.concat([size, body])
}

/** Size, api_key, api_version, correlation id, client id. */
function kafkaRequest(apiKey: number, correlationId: number, clientId: string): Buffer {
  const header = Buffer.alloc(10)
  header.writeInt16BE(apiKey, 0)
  header.writeInt16BE(7, 2)
  header.writeInt32BE(correlationId, 4)
  header.writeInt16BE(clientId.length, 8)
  return sized(Buffer.concat([header, Buffer.from(clientId), Buffer.from('body')]))
}

function kafkaResponse(correlationId: number): Buffer {
  const id = Buffer.alloc(4)
  id.writeInt32BE(correlationId)
  return sized(Buffer.concat([id, Buffer.from('answer')]))
}

test("Kafka's response to a Produce is recognised by its correlation id, and a connection's client by its client id", () => {
  fc.assert(
    fc.property(sizes, (chunkSizes) => {
      const tap = new KafkaTap()
      const conversation: [Side, Buffer][] = [
        ['client', kafkaRequest(3, 1, 'firehose-api')],
        ['client', kafkaRequest(0, 2, 'firehose-api')],
        ['server', kafkaResponse(1)],
        ['server', kafkaResponse(2)],
      ]
      const seen = feed(tap, conversation, chunkSizes).map(({ sightings }) => sightings.length)
      assert.deepEqual(seen, [0, 0, 0, 1])
      assert.equal(tap.client, 'firehose-api')
    }),
  )
})

test('the 202 is distinguished from other responses', () => {
  const count = (text: string, from: Side = 'server') =>
    new HttpTap().see(from, Buffer.from(text)).flatMap(({ sightings }) => sightings).length
  assert.equal(count('HTTP/1.1 202 Accepted\r\n\r\n'), 1)
  assert.equal(count('HTTP/1.1 503 Service Unavailable\r\n\r\n'), 0)
  assert.equal(count('HTTP/1.1 202 Accepted\r\n\r\n', 'client'), 0)
})
