import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { MAX_DEPTH } from '../../../../event/limits.ts'
import { INET_BYTES } from '../../../../event/inet.ts'
import { textOf } from '../../../../event/record/row-texts.ts'
import { encodeRecord } from '../../../../event/record/encode.ts'
import { decodeCanonical } from '../../../../event/record/decode-fast.ts'
import { decodeRecord, decodeRecords, decodeAgain } from '../../../../event/record/decode.ts'
import { CHUNK_BYTES } from '../../../../postgres/database.ts'
import { encodeCopy } from '../../../../sink-worker/store/encode-copy.ts'
import type { EventRow } from '../../../../event/fields.ts'
import type { UserIdType } from '../../../../event/kinds.ts'
import type { KafkaRecord } from '../../../../event/record/decoded.ts'
import { anyText } from '../../../arbitrary/event-text.ts'
import { spoiledBytes } from '../../../arbitrary/bytes.ts'
import { nearly, objectText } from '../../../arbitrary/json-text.ts'

const IDENTITY = { clusterId: 'cluster-1', topic: 'events' }
const RECEIVED = '2026-01-02T03:04:05.678000Z'

const hex = (length: number): fc.Arbitrary<string> => fc.stringMatching(new RegExp(`^[0-9a-f]{${length}}$`))
const uuid = fc.tuple(hex(8), hex(4), hex(4), hex(4), hex(12)).map((groups) => groups.join('-'))
const timestamp = fc
  .date({ min: new Date('0001-01-01T00:00:00Z'), max: new Date('9999-12-31T23:59:59Z'), noInvalidDate: true })
  .chain((date) => fc.nat({ max: 999 }).map((us) => ({ date, us })))
  .map(({ date, us }) => `${date.toISOString().slice(0, 23)}${String(us).padStart(3, '0')}Z`)
const userId = fc.oneof(
  fc.integer().map(String),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
  fc.constantFrom('0', '-1', '999999999999999', '1000000000000000', '-999999999999999'),
)
const text = fc
  .oneof(
    { weight: 20, arbitrary: fc.stringMatching(/^[ -~é☕]{1,8}$/).filter((value) => !/["\\]/.test(value)) },
    { weight: 1, arbitrary: anyText },
  )
  .filter((value) => Array.from(value).length <= 100)
  .map((value) => JSON.stringify(value).slice(1, -1))
const optional = {
  anonymousId: text,
  eventName: text,
  eventType: text,
  sessionId: text,
  source: text,
}
const facts = fc.oneof(
  fc.constant({}),
  fc.record(
    {
      // Of other producers, any text.
      keyLabel: fc.oneof(fc.stringMatching(/^[a-z][a-z0-9._-]{0,62}$/), text, fc.constant('l'.repeat(100))),
      ipAddress: fc.oneof(fc.ipV4(), fc.ipV6(), fc.constant('2001:db8:1::/48')),
      userAgent: text,
    },
    { requiredKeys: [] },
  ),
)

/** Records as written by the API, except that the metadata may be invalid, and some have neither of the two ids. */
function recordTexts(userIdType: UserIdType): fc.Arbitrary<Buffer> {
  const usual = {
    eventId: uuid,
    userId: userIdType === 'bigint' ? userId : text.map((value) => `"${value}"`),
    timestamp,
    metadata: fc.oneof(objectText, fc.constant('{"a":1}')),
  }
  const events = fc.oneof(
    fc.record(usual),
    fc.record({ ...usual, ...optional }, { requiredKeys: ['eventId', 'timestamp', 'metadata'] }),
  )
  return fc
    .tuple(events, facts)
    .map(([{ metadata, ...event }, fact]) =>
      encodeRecord({ ...event, metadata: Buffer.from(metadata) }, RECEIVED, fact),
    )
}
const TYPES = ['bigint', 'text'] as const
const TEXTS = ['anonymous_id', 'event_name', 'event_type', 'session_id', 'source', 'user_agent'] as const

/** Compares each field, and the bytes sent to PostgreSQL. */
function assertSame(row: EventRow, other: EventRow): void {
  assert.deepEqual(fieldsOf(row), fieldsOf(other))
  assert.deepEqual([...encodeCopy([row])], [...encodeCopy([other])])
  assertEnoughBytes(row)
}

/** A row that is larger than it says would not fit into its chunk. */
function assertEnoughBytes(row: EventRow): void {
  const values = [row.userId, row.ipAddress, row.metadata].map((value) =>
    value instanceof Buffer ? value.length : 0,
  )
  const texts = TEXTS.map((name) => Buffer.byteLength(textOf(row, name) ?? ''))
  const bytes = [...values, ...texts].reduce((sum, length) => sum + length)
  const over = row.variableBytes - bytes
  assert.ok(over >= 0 && over <= INET_BYTES, `${row.variableBytes} of ${bytes} bytes`)
}

/** Reads one value of a row. */
const READS: readonly ((row: EventRow) => unknown)[] = [
  ...TEXTS.map((name) => (row: EventRow) => textOf(row, name)),
  ...(['eventId', 'userId', 'timestamp', 'receivedAt', 'ipAddress', 'metadata', 'sentCheck'] as const).map(
    (key) => (row: EventRow) => row[key],
  ),
  (row) => [...encodeCopy([row])],
]

const exact = (value: unknown): unknown => (typeof value === 'number' ? BigInt(value) : value)

function fieldsOf(row: EventRow): unknown[] {
  const own = TEXTS.map((name) => textOf(row, name))
  const numbers = [row.userId, row.timestamp, row.receivedAt, row.sentCheck].map(exact)
  return [row.eventId, row.metadata, row.ipAddress, ...own, ...numbers]
}

function recordOf(value: Buffer): KafkaRecord {
  return { partition: 3, offset: 17n, timestampMs: 1_700_000_000_123, value, headers: {} }
}

/** Whether the fast path reads a value of the general decoder: texts with an escape are left to the latter. */
function isPlain(value: Buffer, row: EventRow): boolean {
  const isShort = typeof row.userId !== 'bigint' || (row.userId > -(10n ** 15n) && row.userId < 10n ** 15n)
  const isNear = Number.isSafeInteger(Number(row.timestamp))
  const head = value.subarray(0, value.length - row.metadata.length - 1)
  return isShort && isNear && !head.includes('\\')
}

for (const userIdType of TYPES) {
  test(`the fast path decodes a record of the API as the general decoder does, with user_id of type ${userIdType}`, () => {
    let withTexts = 0
    fc.assert(
      fc.property(recordTexts(userIdType), (value) => {
        const general = decodeRecord(recordOf(value), IDENTITY, userIdType)
        const row = decodeCanonical(value, userIdType)
        if (!general.ok) return
        // Only these, and texts with as many bytes as there may be characters, are left to the general decoder.
        if (!isPlain(value, general.row)) assert.equal(row, undefined)
        else if (!value.toString('latin1').match(/[\x80-\xff]/)) assert.ok(row, String(value))
        if (row === undefined) return
        assertSame(row, general.row)
        if (value.includes('"event_name"')) withTexts++
      }),
      { numRuns: 1_000 },
    )
    assert.ok(withTexts > 20, `${withTexts} with texts`)
  })

  test(`property: the decoders agree on every row, unless the general one refuses the metadata (user_id ${userIdType})`, () => {
    const texts = recordTexts(userIdType).map(String)
    const bytes = fc.oneof(
      recordTexts(userIdType),
      nearly(texts).map((each) => Buffer.from(each)),
      spoiledBytes(texts),
    )
    fc.assert(
      fc.property(bytes, (value) => {
        const row = decodeCanonical(value, userIdType)
        if (row === undefined) return
        const general = decodeRecord(recordOf(value), IDENTITY, userIdType)
        if (general.ok && general.row.metadata.equals(row.metadata)) assertSame(row, general.row)
        // Otherwise PostgreSQL refuses the metadata: they are not a single object, or jsonb cannot hold them.
        else assert.throws(() => assertOneObject(row.metadata))
      }),
      { numRuns: 2_000 },
    )
  })
}

test('property: rows of the fast path have their values in whatever order they are read, and whatever is decoded meanwhile', () => {
  for (const userIdType of TYPES) {
    const reads = fc.array(fc.tuple(fc.nat(), fc.constantFrom(...READS)), { minLength: 20, maxLength: 40 })
    const values = fc.array(recordTexts(userIdType), { minLength: 2, maxLength: 6 })
    fc.assert(
      fc.property(values, reads, (records, order) => {
        const rows = records.flatMap((value) => {
          const general = decodeRecord(recordOf(value), IDENTITY, userIdType)
          const row = decodeCanonical(value, userIdType)
          return general.ok && row !== undefined ? [{ row, other: general.row }] : []
        })
        if (rows.length === 0) return
        for (const [n, read] of order) {
          const { row, other } = rows[n % rows.length]!
          if (n % 3 === 0) decodeCanonical(records[n % records.length]!, userIdType)
          assert.deepEqual(exact(read(row)), exact(read(other)))
        }
      }),
      { numRuns: 500 },
    )
  }
})

function assertOneObject(metadata: Buffer): void {
  const alone = `{"user_id":1,"timestamp":"2026-01-01T00:00:00Z","metadata":${metadata.toString()}}`
  const decoded = decodeRecord(recordOf(Buffer.from(alone)), IDENTITY, 'bigint')
  assert.ok(decoded.ok && decoded.row.metadata.length === metadata.length)
}

for (const [what, from, to] of [
  ['another order', '"user_id":1,"timestamp"', '"timestamp"'],
  ['a space', '"user_id":1', '"user_id": 1'],
  ['a member after the metadata', '{"a":1}}', '{"a":1},"x":1}'],
  ['an uppercase id', 'abc', 'ABC'],
  ['a leading zero', '"user_id":1', '"user_id":01'],
  ['minus zero', '"user_id":1', '"user_id":-0'],
  ['a day that does not exist', '2026-01-02T', '2026-02-30T'],
  ['another offset', '05.678000Z"', '05.6780+00"'],
] as const) {
  test(`left to the general decoder: ${what}`, () => {
    const event = { eventId: '01980000-0000-7000-8000-000000000abc', userId: '1' }
    const plain = encodeRecord(
      { ...event, timestamp: '2026-01-02T03:04:05.678000Z', metadata: Buffer.from('{"a":1}') },
      RECEIVED,
    ).toString()
    assert.ok(decodeCanonical(Buffer.from(plain), 'bigint'))
    const other = plain.replaceAll(from, to)
    assert.notEqual(other, plain)
    assert.equal(decodeCanonical(Buffer.from(other), 'bigint'), undefined)
  })
}

test('a row of any size fits into its chunk, also without user_id', () => {
  const event = { eventId: '01980000-0000-7000-8000-000000000abc', anonymousId: 'a', timestamp: RECEIVED }
  for (let bytes = CHUNK_BYTES - 200; bytes < CHUNK_BYTES + 10; bytes++) {
    const metadata = Buffer.from(`{"a":"${'x'.repeat(bytes)}"}`)
    const row = decodeCanonical(encodeRecord({ ...event, metadata }, RECEIVED), 'bigint')
    assert.ok(row)
    assert.ok(Buffer.concat([...encodeCopy([row])]).includes(metadata))
  }
})

test('rows of the fast path are decoded again after PostgreSQL has refused one', () => {
  const event = { eventId: '01980000-0000-7000-8000-000000000abc', userId: '1', timestamp: RECEIVED }
  const valueOf = (metadata: string): Buffer =>
    encodeRecord({ ...event, metadata: Buffer.from(metadata) }, RECEIVED)
  const good = recordOf(valueOf('{"a":1}'))
  const bad = recordOf(valueOf('{"a":\\u0000}'))
  const first = decodeRecords([good, bad], IDENTITY, 'bigint')
  assert.equal(first.rows.length, 2)
  const again = decodeAgain(first.rows, IDENTITY, 'bigint')
  assert.deepEqual(
    again?.dead.map(({ record }) => record),
    [bad],
  )
  assert.deepEqual(
    again?.rows.map(({ record, row }) => [record, row]),
    [[good, first.rows[0]?.row]],
  )
  assert.equal(
    decodeAgain(again?.rows ?? [], IDENTITY, 'bigint'),
    undefined,
    'rows are decoded again only once',
  )
})

test('metadata that may be nested too deep are left to the general decoder, which dead-letters them; long ones are not', () => {
  const event = { eventId: '01980000-0000-7000-8000-000000000abc', userId: '1', timestamp: RECEIVED }
  const valueOf = (metadata: string): Buffer =>
    encodeRecord({ ...event, metadata: Buffer.from(metadata) }, RECEIVED)
  const nested = (depth: number): string => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`
  assert.equal(decodeCanonical(valueOf(nested(MAX_DEPTH + 1)), 'bigint'), undefined)
  assert.equal(decodeRecords([recordOf(valueOf(nested(MAX_DEPTH + 1)))], IDENTITY, 'bigint').dead.length, 1)
  assert.ok(decodeCanonical(valueOf(nested(MAX_DEPTH - 1)), 'bigint'))
  assert.ok(decodeCanonical(valueOf(`{"a":"${'x'.repeat(5_000)}"}`), 'bigint'))
})
