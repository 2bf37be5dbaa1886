import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { JsonScan } from '../../../../event/json/scan-result.ts'
import { scanText } from '../../../../event/json/scan.ts'
import { canonicalTimestamp } from '../../../../event/timestamp.ts'
import { encodeRecord, receivedAt } from '../../../../event/record/encode.ts'
import { FIELDS } from '../../../../event/fields.ts'
import type { ParseOptions } from '../../../../producer-api/intake/event-list.ts'
import { parseEvent } from '../../../../producer-api/intake/parse-body.ts'
import { eventText, textEventText } from '../../../arbitrary/event-text.ts'

const RECEIVED_AT = '2025-01-31T12:00:01.250000Z'
const options: ParseOptions = {
  newId: () => '0198c0de-7a5b-7000-8000-000000000000',
  userIdType: 'bigint',
}
const TEXTS = ['anonymous_id', 'event_name', 'event_type', 'session_id', 'source']

test('encodeRecord() writes the canonical form byte for byte', () => {
  const event = {
    eventId: '0198c0de-7a5b-7000-8000-0123456789ab',
    userId: '-7',
    timestamp: '2025-01-31T12:00:00.000000Z',
    metadata: Buffer.from('{ "é" : 1e400 }'),
  }
  assert.equal(
    encodeRecord(event, RECEIVED_AT).toString(),
    '{"event_id":"0198c0de-7a5b-7000-8000-0123456789ab","user_id":-7,"timestamp":"2025-01-31T12:00:00.000000Z","received_at":"2025-01-31T12:00:01.250000Z","metadata":{ "é" : 1e400 }}',
  )
})

test('encodeRecord() writes what an event has in the order of the table, then what the API sets', () => {
  const event = {
    metadata: Buffer.from('{}'),
    source: 'web',
    sessionId: 's\\n',
    eventType: 'track',
    eventName: 'é',
    anonymousId: '\\"a\\"',
    timestamp: '2025-01-31T12:00:00.000000Z',
    eventId: '0198c0de-7a5b-7000-8000-0123456789ab',
  }
  const facts = { ipAddress: '203.0.113.0/24', userAgent: 'x "y" \\ \t' }
  assert.equal(
    encodeRecord(event, RECEIVED_AT, facts).toString(),
    '{"event_id":"0198c0de-7a5b-7000-8000-0123456789ab","timestamp":"2025-01-31T12:00:00.000000Z","anonymous_id":"\\"a\\"","event_name":"é","event_type":"track","session_id":"s\\n","source":"web","received_at":"2025-01-31T12:00:01.250000Z","ip_address":"203.0.113.0/24","user_agent":"x \\"y\\" \\\\ \\t","metadata":{}}',
  )
})

test('every accepted event is encoded as a JSON object with its fields in order, which jsonb can hold', () => {
  const scan = new JsonScan()
  const keys = FIELDS.filter(({ isFromClient }) => isFromClient)
  for (const [userIdType, texts] of [
    ['bigint', eventText],
    ['text', textEventText],
  ] as const) {
    fc.assert(
      fc.property(texts, (text) => {
        const body = Buffer.from(text)
        const parsed = parseEvent(body, { ...options, userIdType })
        fc.pre(parsed.ok)
        const sent = JSON.parse(text) as Record<string, unknown>
        const record = encodeRecord(parsed.events[0]!, RECEIVED_AT)
        body.fill(0) // the record must not share memory with the body
        assert.ok(scanText(record, 0, record.length, scan))
        assert.deepEqual(scan.faults, [])
        const names = Array.from({ length: scan.memberCount }, (_, i) => scan.name(record, i))
        const expected = keys
          .filter(({ name }) => name === 'event_id' || (sent[name] ?? null) !== null)
          .map(({ name }) => name)
        assert.deepEqual(names, [...expected.slice(0, -1), 'received_at', 'metadata'])
        for (const [i, name] of names.entries()) {
          const value = record.toString('utf8', scan.valueStart[i], scan.valueEnd[i])
          if (TEXTS.includes(name)) assert.equal(value, JSON.stringify(sent[name]))
          if (name === 'user_id' && userIdType === 'text') assert.equal(JSON.parse(value), textOf(text, sent))
          if (name === 'received_at') assert.equal(value, `"${RECEIVED_AT}"`)
          if (name === 'metadata') assert.ok(text.includes(value))
        }
      }),
      { numRuns: 500 },
    )
  }
})

/** A user_id as text; of a number, the digits that were sent. */
function textOf(text: string, sent: Record<string, unknown>): unknown {
  return typeof sent.user_id === 'number'
    ? /"user_id"\s*:\s*(-?\d+)/.exec(text)?.[1]?.replace(/^-0$/, '0')
    : sent.user_id
}

test('receivedAt() is canonical for every millisecond', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: Date.parse('9999-12-31T23:59:59.999Z') }), (ms) => {
      assert.equal(canonicalTimestamp(receivedAt(ms)), receivedAt(ms))
      assert.equal(Date.parse(receivedAt(ms)), ms)
    }),
  )
})
