import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { CHUNK_BYTES } from '../../../../postgres/database.ts'
import { encodeCopy } from '../../../../sink-worker/store/encode-copy.ts'
import type { EventRow } from '../../../../event/fields.ts'
import { rowTexts, textOf } from '../../../../event/record/row-texts.ts'
import { parseInet } from '../../../../event/inet.ts'
import { anyText } from '../../../arbitrary/event-text.ts'

const int8 = fc.oneof(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), fc.maxSafeInteger())

/** Sizes of metadata: mostly small, some around a chunk, some larger than one. */
const metadata = fc
  .oneof(
    { weight: 30, arbitrary: fc.nat({ max: 300 }) },
    { weight: 4, arbitrary: fc.integer({ min: CHUNK_BYTES - 100, max: CHUNK_BYTES + 10 }) },
    { weight: 2, arbitrary: fc.integer({ min: CHUNK_BYTES, max: 3 * CHUNK_BYTES }) },
  )
  .chain((length) => fc.nat({ max: 255 }).map((byte) => Buffer.alloc(length, byte)))

const text = fc.oneof(
  fc.constant(undefined),
  anyText.map((value) => Buffer.from(value)),
)
const absent = fc.constant(undefined)
/** The optional texts, in their order, with the places of key_label and ip_address. */
const texts = fc.tuple(text, text, text, text, text, absent, absent, text)

const eventRow: fc.Arbitrary<EventRow> = fc
  .tuple(
    fc.record({
      eventId: fc.uuid(),
      userId: fc.oneof(int8, text),
      timestamp: int8,
      receivedAt: int8,
      ipAddress: fc.oneof(fc.constant(undefined), fc.ipV4().map(parseInet), fc.ipV6().map(parseInet)),
      metadata,
      sentCheck: int8,
    }),
    texts,
  )
  .map(([row, values]) => ({
    ...row,
    texts: rowTexts(values),
    variableBytes: [row.userId, row.ipAddress, row.metadata, ...values].reduce(
      (sum: number, value) => sum + (value instanceof Buffer ? value.length : 0),
      0,
    ),
  }))

function rowOf(metadataBytes: number): EventRow {
  return {
    eventId: '0198c0de-7a5b-7000-8000-0123456789ab',
    userId: -2n,
    timestamp: 1n,
    metadata: Buffer.alloc(metadataBytes, 0x61),
    receivedAt: 2n,
    sentCheck: 3n,
    variableBytes: metadataBytes,
  }
}

/** The columns of a row, as the independent reader returns them. */
interface Columns {
  eventId: string
  userId: bigint | Buffer | undefined
  timestamp: bigint
  receivedAt: bigint
  sentCheck: bigint
  metadata: Buffer
  ipAddress: Buffer | undefined
  texts: (string | undefined)[]
}
const TEXTS = ['anonymous_id', 'event_name', 'event_type', 'session_id', 'source', 'user_agent'] as const

function columnsOf(row: EventRow): Columns {
  return {
    eventId: row.eventId,
    userId: typeof row.userId === 'number' ? BigInt(row.userId) : row.userId,
    timestamp: BigInt(row.timestamp),
    receivedAt: BigInt(row.receivedAt),
    sentCheck: BigInt(row.sentCheck),
    metadata: row.metadata,
    ipAddress: row.ipAddress,
    texts: TEXTS.map((name) => textOf(row, name)),
  }
}

/**
 * Reads the fields of each tuple, as the documentation of COPY describes the binary format. Throws on anything that
 * PostgreSQL would refuse.
 */
function readCopy(bytes: Buffer): (Buffer | undefined)[][] {
  assert.equal(bytes.toString('latin1', 0, 11), 'PGCOPY\n\xff\r\n\0', 'signature')
  assert.equal(bytes.readUInt32BE(11), 0, 'flags: nothing critical, no OIDs')
  assert.equal(bytes.readUInt32BE(15), 0, 'length of the header extension')
  let pos = 19
  const tuples: (Buffer | undefined)[][] = []
  for (;;) {
    const fields = bytes.readInt16BE(pos)
    pos += 2
    if (fields === -1) break
    const tuple: (Buffer | undefined)[] = []
    for (let field = 0; field < fields; field++) {
      const length = bytes.readInt32BE(pos)
      pos += 4
      if (length === -1) {
        tuple.push(undefined)
        continue
      }
      assert.ok(length >= 0)
      assert.ok(pos + length <= bytes.length, 'the text ends within a field')
      tuple.push(bytes.subarray(pos, pos + length))
      pos += length
    }
    tuples.push(tuple)
  }
  assert.equal(pos, bytes.length, 'something follows the trailer')
  return tuples
}

/**
 * Decodes a tuple as the receive functions of uuid, int8, timestamptz and jsonb do. Whether user_id is an integer or a text
 * is known from the column; here, from the row that was written.
 */
function toColumns(tuple: (Buffer | undefined)[], written: EventRow): Columns {
  const [id, userId, timestamp, anonymousId, eventName, eventType, sessionId, source, ...more] = tuple
  const [receivedAt, ipAddress, userAgent, json, sentCheck, ...rest] = more
  assert.equal(rest.length, 0)
  assert.deepEqual(
    [id?.length, timestamp?.length, json?.[0], receivedAt?.length, sentCheck?.length],
    [16, 8, 1, 8, 8],
    'lengths, and the version of jsonb',
  )
  const hex = id!.toString('hex')
  const isText = written.userId === undefined || written.userId instanceof Buffer
  return {
    eventId: hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5'),
    userId: isText ? userId : userId!.readBigInt64BE(),
    timestamp: timestamp!.readBigInt64BE(),
    receivedAt: receivedAt!.readBigInt64BE(),
    sentCheck: sentCheck!.readBigInt64BE(),
    metadata: json!.subarray(1),
    ipAddress,
    texts: [anonymousId, eventName, eventType, sessionId, source, userAgent].map((bytes) =>
      bytes?.toString(),
    ),
  }
}

test('property: an independent reader decodes every row', () => {
  fc.assert(
    fc.property(fc.array(eventRow, { maxLength: 30 }), (rows) => {
      const tuples = readCopy(Buffer.concat([...encodeCopy(rows)]))
      assert.deepEqual(
        tuples.map((tuple, n) => toColumns(tuple, rows[n]!)),
        rows.map(columnsOf),
      )
    }),
  )
})

test('without the optional columns, each row has the others', () => {
  fc.assert(
    fc.property(fc.array(eventRow, { maxLength: 30 }), (rows) => {
      const none = undefined
      const tuples = readCopy(Buffer.concat([...encodeCopy(rows, 'usual')]))
      assert.deepEqual(
        tuples.map(([id, user, time, received, ...rest], n) =>
          toColumns([id, user, time, none, none, none, none, none, received, none, none, ...rest], rows[n]!),
        ),
        rows.map((row) => columnsOf({ ...row, texts: none, ipAddress: none })),
      )
    }),
  )
})

test('with ordinals, each row starts with its index', () => {
  fc.assert(
    fc.property(fc.array(eventRow, { maxLength: 30 }), (rows) => {
      const tuples = readCopy(Buffer.concat([...encodeCopy(rows, 'staged')]))
      assert.deepEqual(
        tuples.map(([ordinal]) => ordinal?.length === 4 && ordinal.readInt32BE()),
        rows.map((_, index) => index),
      )
      assert.deepEqual(
        tuples.map(([, ...fields], n) => toColumns(fields, rows[n]!)),
        rows.map(columnsOf),
      )
    }),
  )
})

test('property: chunks are full but no larger than needed, and do not change after they are yielded', () => {
  fc.assert(
    fc.property(
      fc.array(eventRow, { maxLength: 30 }),
      fc.constantFrom('all', 'staged', 'usual'),
      (rows, form) => {
        const largest = Math.max(0, ...rows.map((row) => row.variableBytes)) + 150
        const copies: Buffer[] = []
        const chunks: Buffer[] = []
        for (const chunk of encodeCopy(rows, form)) {
          chunks.push(chunk)
          copies.push(Buffer.from(chunk))
        }
        assert.deepEqual(chunks, copies)
        for (const chunk of chunks)
          assert.ok(chunk.length > 0 && chunk.length <= Math.max(CHUNK_BYTES, largest))
        // Two adjacent chunks would not fit into one; the last chunk is the trailer.
        for (let i = 0; i + 2 < chunks.length; i++) {
          assert.ok(chunks[i]!.length + chunks[i + 1]!.length + largest > CHUNK_BYTES)
        }
      },
    ),
  )
})

test('a row that just fits stays in its chunk; one more byte starts another', () => {
  const signature = 19
  const nulls = 7 * 4
  const fixed = 2 + (4 + 16) + (4 + 8) + (4 + 8) + (4 + 1) + (4 + 8) + (4 + 8) + nulls
  const fits = CHUNK_BYTES - signature - fixed
  assert.deepEqual(
    [...encodeCopy([rowOf(fits)])].map(({ length }) => length),
    [CHUNK_BYTES, 2],
  )
  assert.deepEqual(
    [...encodeCopy([rowOf(fits + 1)])].map(({ length }) => length),
    [signature, CHUNK_BYTES - signature + 1, 2],
  )
  assert.deepEqual(
    [...encodeCopy([rowOf(fits - 8)], 'staged')].map(({ length }) => length),
    [CHUNK_BYTES, 2],
  )
})

test('a chunk is encoded only when it is requested', () => {
  const rows = [rowOf(CHUNK_BYTES), rowOf(1)]
  const chunks = encodeCopy(rows)
  chunks.next() // the signature
  rows[0] = rowOf(CHUNK_BYTES) // already taken
  const second = rowOf(1)
  rows[1] = { ...second, userId: 77n }
  const rest = [...chunks]
  assert.equal(rest.at(-2)?.includes(Buffer.from('000000000000004d', 'hex')), true)
})

test('without rows, there are only a signature and a trailer', () => {
  assert.deepEqual(readCopy(Buffer.concat([...encodeCopy([])])), [])
})
