import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { FoundLetter, Whereabouts } from '../../../../tools/where/where.ts'
import { whereJson, whereText } from '../../../../tools/where/where-text.ts'

const eventId = '0198c0de-7a5b-7000-8000-0123456789ab'
const row = {
  user_id: '9223372036854775807',
  user_id_json: '9223372036854775807',
  timestamp: '2026-01-02T03:04:05.000000Z',
  received_at: '2026-01-02T03:04:06.000000Z',
  metadata: null,
}
const letter: FoundLetter = {
  cluster_id: 'c',
  topic: 'events',
  partition: 0,
  offset: '17',
  reason: 'constraint',
  state: 'open',
  sqlstate: '23514',
  message: 'violates \u001b[2J',
  created_at: '2026-01-02T03:04:07.000000Z',
}
const at = (change: Partial<Whereabouts>): Whereabouts => ({
  eventId,
  row: undefined,
  letters: [],
  notStored: undefined,
  ...change,
})

test('a row is printed with its times and user, and with metadata only if they were read', () => {
  const lines = [
    `stored       a row of events, event_id ${eventId}`,
    'received_at  2026-01-02T03:04:06.000000Z',
    'user_id      9223372036854775807',
    'timestamp    2026-01-02T03:04:05.000000Z',
  ]
  assert.equal(whereText(at({ row }), 'events'), lines.join('\n'))
  const withMetadata = whereText(at({ row: { ...row, metadata: '{"a": "\u009b"}' } }), 'events')
  assert.equal(withMetadata, [...lines, 'metadata     {"a": "\\u009b"}'].join('\n'))
})

test('the optional fields are printed if the row has them, and are null in the JSON object if not', () => {
  const visitor = {
    ...row,
    user_id: null,
    user_id_json: 'null',
    anonymous_id: 'v\u001b[2J',
    event_name: 'signup',
    ip_address: '203.0.113.0/24',
    user_agent: null,
  }
  assert.deepEqual(
    whereText(at({ row: visitor }), 'events')
      .split('\n')
      .slice(1),
    [
      'received_at  2026-01-02T03:04:06.000000Z',
      'timestamp    2026-01-02T03:04:05.000000Z',
      'anonymous_id v\\u001b[2J',
      'event_name   signup',
      'ip_address   203.0.113.0/24',
    ],
  )
  const text = whereJson(at({ row: { ...visitor, user_id_json: '"u\\u0001"' } }))
  assert.deepEqual((JSON.parse(text) as { row: unknown }).row, {
    user_id: 'u\u0001',
    timestamp: row.timestamp,
    received_at: row.received_at,
    anonymous_id: 'v\u001b[2J',
    event_name: 'signup',
    event_type: null,
    session_id: null,
    source: null,
    ip_address: '203.0.113.0/24',
    user_agent: null,
  })
})

test('a dead letter is printed with coordinates, reason and state, safely', () => {
  const lines = whereText(at({ letters: [letter] }), 'events').split('\n')
  assert.equal(lines[0], 'dead letter  0:17 of topic events, cluster c')
  assert.equal(lines[1], 'reason       constraint 23514')
  assert.equal(lines[2], 'state        open')
  assert.equal(lines[4], 'message      violates \\u001b[2J')
})

test('of an event that was not seen, it is said how much is not stored yet, or why that is not known', () => {
  const lastLine = (notStored: Whereabouts['notStored']) =>
    whereText(at({ notStored }), 'events').split('\n').at(-1)
  assert.match(lastLine({ count: 0n }) ?? '', /^The sink has stored every record of topic events/)
  assert.match(lastLine({ count: 1n }) ?? '', /^1 record of topic events is not stored yet/)
  assert.match(lastLine({ count: 1234n }) ?? '', /^1,234 records of topic events are not stored yet/)
  assert.match(lastLine({ unknown: 'Kafka is away' }) ?? '', /^Kafka is away, so it is not known/)
})

test('the JSON object has every digit', () => {
  const text = whereJson(at({ row: { ...row, metadata: '{"n": 1.10, "c": "\u009b"}' }, letters: [letter] }))
  assert.ok(text.includes('"user_id":9223372036854775807,'))
  assert.ok(text.includes('"metadata":{"n": 1.10, "c": "\\u009b"}'))
  const { found, dead_letters, records_not_stored, problem } = JSON.parse(text) as Record<string, unknown>
  assert.deepEqual(
    { found, dead_letters, records_not_stored, problem },
    {
      found: 'stored',
      dead_letters: [letter],
      records_not_stored: null,
      problem: null,
    },
  )
  const found2 = (change: Partial<Whereabouts>) =>
    JSON.parse(whereJson(at(change))) as Record<string, unknown>
  assert.equal(found2({ letters: [letter] }).found, 'dead_letter')
  assert.deepEqual(found2({ notStored: { count: 3n } }), {
    event_id: eventId,
    found: 'not_seen',
    row: null,
    dead_letters: [],
    records_not_stored: 3,
    problem: null,
  })
  assert.equal(found2({ notStored: { unknown: 'x' } }).problem, 'x')
})
