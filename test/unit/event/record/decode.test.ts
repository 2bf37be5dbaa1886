import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { JsonScan, KIND_OBJECT } from '../../../../event/json/scan-result.ts'
import { scanText } from '../../../../event/json/scan.ts'
import { canonicalTimestamp } from '../../../../event/timestamp.ts'
import type { CanonicalEvent } from '../../../../event/fields.ts'
import { encodeRecord } from '../../../../event/record/encode.ts'
import { decodeRecord, decodeRecords } from '../../../../event/record/decode.ts'
import type { EventRow } from '../../../../event/fields.ts'
import type { DeadLetter, KafkaRecord } from '../../../../event/record/decoded.ts'
import { textOf } from '../../../../event/record/row-texts.ts'
import { parseInet } from '../../../../event/inet.ts'
import { anyText } from '../../../arbitrary/event-text.ts'
import { spoiledBytes } from '../../../arbitrary/bytes.ts'
import { jsonText, nearly, objectText } from '../../../arbitrary/json-text.ts'
import { dateTimeText } from '../../../arbitrary/timestamp-text.ts'

const IDENTITY = { clusterId: 'cluster-1', topic: 'events' }
const ID = '0198c0de-7a5b-7000-8000-0123456789ab'
/** The fields of a usual record as JSON text, so that a test can replace one. */
const FIELDS = {
  event_id: `"${ID}"`,
  user_id: '42',
  timestamp: '"2024-02-29T12:34:56.789012Z"',
  received_at: '"2024-02-29T12:34:57.000000Z"',
  metadata: '{"a":1}',
}

function recordOf(value: string | Buffer | null, more: Partial<KafkaRecord> = {}): KafkaRecord {
  const bytes = typeof value === 'string' ? Buffer.from(value) : value
  return { partition: 3, offset: 17n, timestampMs: 1_700_000_000_123, value: bytes, headers: {}, ...more }
}

/** An object with these members; `undefined` omits one. */
function objectOf(members: Record<string, string | undefined>): string {
  const present = Object.entries(members).filter(([, text]) => text !== undefined)
  return `{${present.map(([name, text]) => `"${name}":${text}`).join(',')}}`
}

function rowOf(value: string | Buffer, more?: Partial<KafkaRecord>): EventRow {
  const decoded = decodeRecord(recordOf(value, more), IDENTITY, 'bigint')
  assert.ok(decoded.ok, decoded.ok ? '' : decoded.dead.message)
  return decoded.row
}

function deadOf(value: string | Buffer | null): DeadLetter {
  const record = recordOf(value)
  const decoded = decodeRecord(record, IDENTITY, 'bigint')
  assert.ok(!decoded.ok, `taken as a row: ${String(value)}`)
  assert.equal(decoded.dead.record, record)
  assert.equal(decoded.dead.reason, 'undecodable')
  assert.equal(decoded.dead.sqlstate, undefined)
  return decoded.dead
}

/** Microseconds since 2000-01-01, computed with Date. */
function micros(canonical: string): bigint {
  const ms = Date.parse(`${canonical.slice(0, 23)}Z`) - Date.UTC(2000, 0, 1)
  return BigInt(ms) * 1_000n + BigInt(canonical.slice(23, 26))
}

const scan = new JsonScan()

/** Objects that jsonb can hold as a member of an event. */
const metadataText = objectText.filter((text) => {
  const bytes = Buffer.from(`[${text}]`)
  return scanText(bytes, 0, bytes.length, scan) && scan.faults.length === 0
})
const timestampText = dateTimeText.map(canonicalTimestamp).filter((text) => text !== undefined)
const int8 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })
const inJson = (text: string): string => JSON.stringify(text).slice(1, -1)
const textUpTo = (max: number): fc.Arbitrary<string> =>
  anyText.filter((text) => Array.from(text).length <= max)
const usual = {
  eventId: fc.uuid(),
  userId: fc.oneof(int8, fc.constantFrom(0n, -(2n ** 63n), 2n ** 63n - 1n)).map(String),
  timestamp: timestampText,
  metadata: metadataText.map((text) => Buffer.from(text)),
}
const texts = {
  anonymousId: textUpTo(255).map(inJson),
  eventName: textUpTo(255).map(inJson),
  eventType: textUpTo(100).map(inJson),
  sessionId: textUpTo(255).map(inJson),
  source: textUpTo(100).map(inJson),
}
const canonicalEvent: fc.Arbitrary<CanonicalEvent> = fc.oneof(
  fc.record(usual),
  fc.record({ ...usual, ...texts }, { requiredKeys: ['eventId', 'userId', 'timestamp', 'metadata'] }),
  fc.record({ ...usual, ...texts }, { requiredKeys: ['eventId', 'anonymousId', 'timestamp', 'metadata'] }),
)
const facts = fc.record(
  {
    ipAddress: fc.oneof(fc.ipV4(), fc.ipV6(), fc.constantFrom('::/0', '10.0.0.0/24')),
    userAgent: textUpTo(1_000),
  },
  { requiredKeys: [] },
)

test('the sink decodes what the API encodes: metadata byte for byte, each text as it was sent', () => {
  const sent = (text: string | undefined): unknown =>
    text === undefined ? undefined : JSON.parse(`"${text}"`)
  fc.assert(
    fc.property(canonicalEvent, timestampText, facts, (event, receivedAt, fact) => {
      const row = rowOf(encodeRecord(event, receivedAt, fact))
      // sentCheck and variableBytes have their own tests: sent-check.test.ts, encode-copy.test.ts.
      assert.deepEqual(
        [row.eventId, row.userId, row.timestamp, row.receivedAt, row.ipAddress, row.metadata],
        [
          event.eventId,
          event.userId === undefined ? undefined : BigInt(event.userId),
          micros(event.timestamp),
          micros(receivedAt),
          fact.ipAddress === undefined ? undefined : parseInet(fact.ipAddress),
          event.metadata,
        ],
      )
      assert.deepEqual(
        [
          textOf(row, 'anonymous_id'),
          textOf(row, 'event_name'),
          textOf(row, 'event_type'),
          textOf(row, 'session_id'),
          textOf(row, 'source'),
          textOf(row, 'user_agent'),
        ],
        [
          sent(event.anonymousId),
          sent(event.eventName),
          sent(event.eventType),
          sent(event.sessionId),
          sent(event.source),
          fact.userAgent,
        ],
      )
    }),
    { numRuns: 500 },
  )
})

test('the label of the key is the source of an event without one, and no part of what was sent', () => {
  const others = { user_agent: '"curl/8"', ip_address: '"::1"', session_id: '"s"' }
  for (const [fields, source] of [
    [{}, 'backend'],
    [{ source: 'null' }, 'backend'],
    [others, 'backend'],
    [{ source: '"web"' }, 'web'],
    [{ source: '"web"', ...others }, 'web'],
  ] as const) {
    const sent = rowOf(objectOf({ ...FIELDS, ...fields }))
    const row = rowOf(objectOf({ ...FIELDS, key_label: '"backend"', ...fields }))
    assert.equal(textOf(row, 'source'), source)
    assert.equal(row.sentCheck, sent.sentCheck)
    for (const name of ['session_id', 'user_agent'] as const)
      assert.equal(textOf(row, name), textOf(sent, name))
  }
  assert.equal(textOf(rowOf(objectOf(FIELDS)), 'source'), undefined)
})

test('an optional field that is null is absent; one that is invalid is a dead letter that names it', () => {
  const names = [
    'anonymous_id',
    'event_name',
    'event_type',
    'session_id',
    'source',
    'key_label',
    'ip_address',
    'user_agent',
  ]
  const none = objectOf({ ...FIELDS, ...Object.fromEntries(names.map((name) => [name, 'null'])) })
  assert.deepEqual(rowOf(none), rowOf(objectOf(FIELDS)))
  const long = (length: number): string => `"${'é'.repeat(length)}"`
  const limits = {
    anonymous_id: 255,
    event_name: 255,
    event_type: 100,
    session_id: 255,
    source: 100,
    key_label: 100,
    user_agent: 1_000,
  }
  for (const [name, limit] of Object.entries(limits)) {
    assert.ok(rowOf(objectOf({ ...FIELDS, [name]: long(limit) })))
    for (const text of [long(limit + 1), '""', '1', '{}', 'true']) {
      const { message } = deadOf(objectOf({ ...FIELDS, [name]: text }))
      assert.equal(message, `${name} is not a string of 1 to ${limit} characters`)
    }
    assert.match(
      deadOf(objectOf({ ...FIELDS, [name]: '"a\\u0000"' })).message,
      new RegExp(`^${name} cannot be stored as text`),
    )
  }
  for (const text of ['"1.2.3"', '"fe80::1%eth0"', '"1.2.3.4/33"', '"::/129"', '1', '"1.2.3.4 "']) {
    const { message } = deadOf(objectOf({ ...FIELDS, ip_address: text }))
    assert.equal(message, 'ip_address is not an IP address or a network')
  }
  assert.equal(rowOf(objectOf({ ...FIELDS, user_id: 'null', anonymous_id: '"a"' })).userId, undefined)
  assert.equal(
    deadOf(objectOf({ ...FIELDS, user_id: 'null' })).message,
    'user_id and anonymous_id are missing',
  )
})

test('with a user_id of type text, any string is one, and a number is its decimal text', () => {
  const userId = (text: string): unknown => {
    const decoded = decodeRecord(recordOf(objectOf({ ...FIELDS, user_id: text })), IDENTITY, 'text')
    return decoded.ok ? String(decoded.row.userId) : decoded.dead.message
  }
  assert.deepEqual(['"007"', '42', '"a\\n"', '4.20e1', '-0', '"é"'].map(userId), [
    '007',
    '42',
    'a\n',
    '42',
    '0',
    'é',
  ])
  for (const text of ['""', '1.5', 'true', '9223372036854775808'])
    assert.match(String(userId(text)), /^user_id is not a string of 1 to 255 characters, or an integer/)
})

test('a record of an API with USER_ID_TYPE=text is told from a bad record, if the column cannot hold its user_id', () => {
  const mismatched = (text: string): boolean =>
    decodeRecords([recordOf(text)], IDENTITY, 'bigint').mismatched !== undefined
  for (const id of ['"abc"', '"007"', '"a\\"b"', '"é"']) {
    const canonical = objectOf({ ...FIELDS, user_id: id })
    assert.ok(mismatched(canonical), id)
    assert.ok(!mismatched(canonical.replace('"metadata"', ' "metadata"')), 'another producer')
    assert.ok(!mismatched(objectOf({ ...FIELDS, received_at: undefined, user_id: id })), 'another producer')
  }
  assert.ok(!mismatched(objectOf({ ...FIELDS, user_id: '"42"' })), 'an integer')
  assert.ok(!mismatched(objectOf({ ...FIELDS, user_id: '"abc"', metadata: '[]' })), 'not valid at all')
})

test('fields may have any order, white space, escaped names and unknown fields between them', () => {
  const member = fc.oneof(
    fc.constantFrom('"a":1', '"":null', '"event_id ":"x"', '"EVENT_ID":7', '"metadat":{}'),
    fc.constantFrom('"z":"\\u0000"', '"z":1e999999', '"z":"\\ud800"', '"z":{"user_id":9}'),
    fc.constant(`"z":${'['.repeat(5_000)}${']'.repeat(5_000)}`), // deeper than the limits of jsonb and of an event
  )
  const escape = (name: string): string =>
    `\\u${name.charCodeAt(0).toString(16).padStart(4, '0')}${name.slice(1)}`
  const members = fc
    .tuple(
      fc.array(fc.boolean(), { minLength: 5, maxLength: 5 }),
      fc.array(member, { maxLength: 4 }),
      fc.constantFrom('', ' ', '\r\n\t '),
    )
    .chain(([escaped, others, space]) => {
      const own = Object.entries(FIELDS).map(
        ([name, text], i) => `${space}"${escaped[i] === true ? escape(name) : name}"${space}:${space}${text}`,
      )
      const all = [...own, ...others]
      return fc
        .shuffledSubarray(all, { minLength: all.length })
        .map((shuffled) => `{${shuffled.join(',')}${space}}`)
    })
  const expected = rowOf(objectOf(FIELDS))
  fc.assert(fc.property(members, (text) => assert.deepEqual(rowOf(text), expected)))
})

test('values may have any form that the API accepts', () => {
  const row = rowOf(
    objectOf({
      ...FIELDS,
      event_id: `"${ID.toUpperCase()}"`,
      timestamp: '"2024-02-29T13:34:56.7890129+01:00"',
      received_at: '"2024-02-29t12:34:57"',
      metadata: '{ "big" : 12345678901234567890.50 , "a":1, "a":2 }',
    }),
  )
  assert.equal(row.eventId, ID)
  assert.equal(row.timestamp, micros('2024-02-29T12:34:56.789012Z'))
  assert.equal(row.receivedAt, micros('2024-02-29T12:34:57.000000Z'))
  assert.equal(row.metadata.toString(), '{ "big" : 12345678901234567890.50 , "a":1, "a":2 }')
})

test('a repeated field is a dead letter, however its name is written', () => {
  for (const [name, text] of Object.entries(FIELDS)) {
    const escaped = name.replace('e', '\\u0065')
    for (const again of [name, escaped]) {
      const { message } = deadOf(`${objectOf(FIELDS).slice(0, -1)},"${again}":${text}}`)
      assert.equal(message, `${name} appears more than once`)
    }
  }
})

test('a record without event_id gets the UUIDv5 of its coordinates', () => {
  const text = objectOf({ ...FIELDS, event_id: undefined })
  const { eventId } = rowOf(text)
  // Computed once with Python: uuid5(UUID('0c5e2bd5-6b4c-4b0e-9f0c-3a7d3c7fd6a1'), 'cluster-1/events/3/17')
  assert.equal(eventId, '25558ec9-5750-5332-9336-0257e653b328')
  assert.equal(rowOf(text, { timestampMs: 0 }).eventId, eventId, 'nothing but the coordinates counts')
  const idOf = (record: KafkaRecord, identity: typeof IDENTITY): string | undefined => {
    const decoded = decodeRecord(record, identity, 'bigint')
    return decoded.ok ? decoded.row.eventId : undefined
  }
  const ids = new Set([
    eventId,
    idOf(recordOf(text, { offset: 18n }), IDENTITY),
    idOf(recordOf(text, { partition: 4 }), IDENTITY),
    idOf(recordOf(text), { ...IDENTITY, clusterId: 'cluster-2' }),
    idOf(recordOf(text), { ...IDENTITY, topic: 'other' }),
  ])
  assert.equal(ids.size, 5)
  // The dead letter of such a record has the id that its row would have had.
  assert.equal(deadOf(objectOf({ ...FIELDS, event_id: undefined, user_id: 'null' })).eventId, eventId)
})

test('a record without received_at gets its own timestamp', () => {
  const text = objectOf({ ...FIELDS, received_at: undefined })
  assert.equal(
    rowOf(text, { timestampMs: 1_700_000_000_123 }).receivedAt,
    micros('2023-11-14T22:13:20.123000Z'),
  )
  assert.equal(rowOf(text, { timestampMs: -1 }).receivedAt, micros('1970-01-01T00:00:00.000000Z')) // no timestamp
})

test('user_id is an integer within int8', () => {
  for (const text of ['9223372036854775807', '-9223372036854775808', '0', '-1']) {
    assert.equal(rowOf(objectOf({ ...FIELDS, user_id: text })).userId, BigInt(text))
  }
  assert.equal(rowOf(objectOf({ ...FIELDS, user_id: '-0' })).userId, 0n)
  const wrong = [
    '9223372036854775808',
    '-9223372036854775809',
    '1.5',
    '1e19',
    '"x"',
    '"1.0"',
    '" 1"',
    '"9223372036854775808"',
    'true',
    '[]',
    '{}',
  ]
  for (const text of wrong) {
    const dead = deadOf(objectOf({ ...FIELDS, user_id: text }))
    assert.equal(dead.message, 'user_id is not an integer within int8')
    assert.equal(dead.eventId, ID)
  }
})

test('a dead letter names the invalid field, and the event_id if it is valid', () => {
  const times = ['"2023-02-29T00:00:00Z"', '"2024-01"', '"2024-01-01T00:00:61Z"', '""', '1', 'null']
  const wrong: [field: string, texts: string[], message: string, eventId?: string][] = [
    ['event_id', ['null', '""', '7', `"{${ID}}"`, `"${ID}0"`, `"${ID}\\u0000"`], 'event_id is not a UUID'],
    ['timestamp', times, 'timestamp is not a date and time', ID],
    ['received_at', times, 'received_at is not a date and time', ID],
    ['metadata', ['null', '[]', '"{}"', '1', 'true'], 'metadata is not a JSON object', ID],
  ]
  for (const [field, values, message, eventId] of wrong) {
    for (const text of values) {
      const dead = deadOf(objectOf({ ...FIELDS, [field]: text }))
      assert.deepEqual([dead.message, dead.eventId], [message, eventId], `${field} ${text}`)
    }
  }
  for (const [field, message] of [
    ['user_id', 'user_id and anonymous_id are missing'],
    ['timestamp', 'timestamp is missing'],
    ['metadata', 'metadata is missing'],
  ] as const) {
    const dead = deadOf(objectOf({ ...FIELDS, [field]: undefined }))
    assert.deepEqual([dead.message, dead.eventId], [message, ID])
  }
})

test('metadata that jsonb cannot hold is a dead letter', () => {
  const deep = `${'{"a":'.repeat(200)}1${'}'.repeat(200)}`
  for (const [text, fault] of [
    ['{"a":"\\u0000"}', 'nul escape'],
    ['{"\\u0000":1}', 'nul escape'],
    ['{"a":"\\ud800"}', 'lone surrogate'],
    ['{"a":1e131072}', 'number out of range'],
    [deep, 'too deep'],
  ]) {
    const value = objectOf({ ...FIELDS, metadata: text })
    assert.match(
      deadOf(value).message,
      new RegExp(`^metadata cannot be stored as jsonb at byte \\d+: ${fault}$`),
    )
  }
  // A fault before or after the metadata is not one of the metadata.
  const around = `{"x":"\\u0000",${objectOf(FIELDS).slice(1, -1)},"y":"\\u0000"}`
  assert.equal(rowOf(around).metadata.toString(), FIELDS.metadata)
})

test('a value that is not a JSON object is a dead letter', () => {
  const whole = Buffer.from(objectOf(FIELDS))
  assert.equal(deadOf(null).message, 'The record has no value')
  assert.match(deadOf('').message, /^The value is not JSON at byte 0: /)
  assert.match(deadOf(Buffer.from([0x7b, 0xff])).message, /^The value is not UTF-8 at byte 1: /)
  const mark = Buffer.from('\ufeff')
  assert.deepEqual(rowOf(Buffer.concat([mark, whole])), rowOf(whole))
  assert.match(deadOf(Buffer.concat([mark, mark, whole])).message, /^The value is not JSON at byte 3/)
  for (const text of ['null', '1', '"x"', 'true', `[${objectOf(FIELDS)}]`]) {
    assert.equal(deadOf(text).message, 'The value is not a JSON object')
  }
  for (let length = 0; length < whole.length; length++) deadOf(whole.subarray(0, length))
  deadOf(Buffer.concat([whole, whole]))
})

test('decoding never throws, and every row can be encoded', () => {
  const bytes = fc.oneof(
    nearly(canonicalEvent.map((event) => encodeRecord(event, '2024-01-01T00:00:00.000000Z').toString())).map(
      (text) => Buffer.from(text),
    ),
    spoiledBytes(fc.constant(objectOf(FIELDS))),
    jsonText.map((text) => Buffer.from(text)),
    fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array)),
  )
  fc.assert(
    fc.property(bytes, (value) => {
      const decoded = decodeRecord(recordOf(value), IDENTITY, 'bigint')
      if (!decoded.ok) return
      const { row } = decoded
      assert.match(row.eventId, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/)
      if (row.userId !== undefined) assert.equal(BigInt.asIntN(64, row.userId as bigint), row.userId)
      assert.equal(BigInt.asIntN(64, BigInt(row.timestamp)), row.timestamp)
      assert.ok(scanText(row.metadata, 0, row.metadata.length, scan))
      assert.equal(scan.kind, KIND_OBJECT)
      assert.deepEqual(scan.faults, [])
    }),
    { numRuns: 1_000 },
  )
})

test('a record whose own timestamp is out of range (nanoseconds instead of milliseconds) is a dead letter', () => {
  const value = Buffer.from('{"user_id":1,"timestamp":"2026-01-02T03:04:05Z","metadata":{}}')
  const record = { partition: 0, offset: 1n, timestampMs: 1.7e18, value, headers: {} }
  const decoded = decodeRecord(record, { clusterId: 'c', topic: 'events' }, 'bigint')
  assert.ok(!decoded.ok)
  assert.equal(decoded.dead.message, "the record's own timestamp is out of range")
})
