import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { newEventId, outcomesOf, readLetterRow } from '../../../dead-letters/decide.ts'
import type { Letter } from '../../../dead-letters/letter.ts'
import { decodeRecord } from '../../../event/record/decode.ts'
import type { DeadLetter, DecodedRow } from '../../../event/record/decoded.ts'
import { idOf, record } from '../../support/records.ts'

const key = { clusterId: 'cluster-1', partition: 3, offset: 17n }
const identity = { clusterId: 'cluster-1', topic: 'events' }

function letterOf(value: string | null, change: Partial<Letter> = {}): Letter {
  return {
    ...key,
    eventId: null,
    valueBytes: value?.length ?? 0,
    reason: 'constraint',
    sqlstate: '23514',
    message: 'Refused',
    createdAt: new Date('2026-02-03T04:05:06.789Z'),
    state: 'open',
    value: value === null ? null : Buffer.from(value),
    sha256: null,
    headers: {},
    timestampMs: 1_700_000_000_123,
    ...change,
  }
}

test('a letter is decoded as the sink decodes its record, with the same generated id and timestamp', () => {
  const value = record(1, { event_id: undefined, received_at: undefined })
  const asSink = decodeRecord(
    { partition: 3, offset: 17n, timestampMs: 1_700_000_000_123, value: Buffer.from(value), headers: {} },
    identity,
    'bigint',
  )
  assert.ok(asSink.ok)
  const reading = readLetterRow(letterOf(value), 'events', 'bigint', undefined)
  assert.ok(reading.ok)
  assert.deepEqual([reading.row, reading.note], [asSink.row, null])
  const renamed = letterOf(value, { clusterId: 'cluster-1 until 2026-03-04T05:06:07.000000Z' })
  const adopted = readLetterRow(renamed, 'events', 'bigint', undefined)
  assert.ok(adopted.ok)
  assert.equal(adopted.row.eventId, asSink.row.eventId, 'adopt does not change the id')
})

test("if the record's timestamp was not kept but is needed, the note says what replaces it", () => {
  const old = { timestampMs: null }
  const named = readLetterRow(letterOf(record(1), old), 'events', 'bigint', undefined)
  assert.ok(named.ok)
  assert.equal(named.note, null)
  const unnamed = readLetterRow(
    letterOf(record(1, { received_at: undefined }), old),
    'events',
    'bigint',
    undefined,
  )
  assert.ok(unnamed.ok)
  assert.match(unnamed.note ?? '', /received_at is when it became a dead letter/)
  const micros = BigInt(Date.parse('2026-02-03T04:05:06.789Z') - Date.parse('2000-01-01T00:00:00Z')) * 1_000n
  assert.equal(unnamed.row.receivedAt, micros)
})

test('a value that is not an event is refused with the reason', () => {
  for (const value of ['no event', null]) {
    for (const timestampMs of [0, null]) {
      const reading = readLetterRow(letterOf(value, { timestampMs }), 'events', 'bigint', undefined)
      assert.ok(!reading.ok && reading.outcome.kind === 'refused')
      assert.equal(reading.outcome.reason, 'undecodable')
    }
  }
})

test('a value read from Kafka must have the stored digest', () => {
  const value = Buffer.from(record(1))
  const sha256 = createHash('sha256').update(value).digest()
  const letter = letterOf(null, { sha256, valueBytes: value.length })
  const right = readLetterRow(letter, 'events', 'bigint', { ok: true, value, timestampMs: 5 })
  assert.ok(right.ok)
  assert.equal(right.row.eventId, idOf(1))
  for (const [fetched, reason] of [
    [{ ok: true, value: Buffer.from(record(2)), timestampMs: 5 }, 'value_differs'],
    [{ ok: true, value: null, timestampMs: 5 }, 'value_differs'],
    [{ ok: false, reason: 'value_expired', message: 'gone' }, 'value_expired'],
    [undefined, 'value_unavailable'],
  ] as const) {
    const reading = readLetterRow(letter, 'events', 'bigint', fetched)
    assert.ok(!reading.ok && reading.outcome.kind === 'refused')
    assert.equal(reading.outcome.reason, reason)
  }
})

test('each row has one outcome', () => {
  const rows = [1, 2, 3].map((n): DecodedRow & { note: null } => {
    const reading = readLetterRow(letterOf(record(n)), 'events', 'bigint', undefined)
    assert.ok(reading.ok)
    return { record: reading.record, row: reading.row, note: null }
  })
  const [first, second, third] = rows
  assert.ok(first && second && third)
  const dead: DeadLetter = {
    record: third.record,
    eventId: idOf(3),
    reason: 'constraint',
    sqlstate: '23514',
    message: 'no',
  }
  assert.deepEqual(
    [...outcomesOf(rows, { duplicates: [second], dead: [dead] }).values()],
    [
      { kind: 'stored', eventId: idOf(1), note: null },
      { kind: 'already_stored', eventId: idOf(2), note: null },
      { kind: 'refused', reason: 'constraint', sqlstate: '23514', message: 'no' },
    ],
  )
})

test('a new id depends only on the coordinates and differs from the id that the record gets', () => {
  const id = newEventId(key, 'events')
  assert.equal(id, newEventId({ ...key }, 'events'))
  assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
  const others = [
    newEventId({ ...key, offset: 18n }, 'events'),
    newEventId({ ...key, partition: 4 }, 'events'),
    newEventId({ ...key, clusterId: 'cluster-1 until then' }, 'events'),
    newEventId(key, 'others'),
  ]
  const made = readLetterRow(letterOf(record(1, { event_id: undefined })), 'events', 'bigint', undefined)
  assert.ok(made.ok)
  assert.equal(new Set([id, ...others, made.row.eventId]).size, 6)
})
