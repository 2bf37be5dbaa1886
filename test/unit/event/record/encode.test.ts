import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { JsonScan } from '../../../../event/json/scan-result.ts'
import { scanText } from '../../../../event/json/scan.ts'
import { canonicalTimestamp } from '../../../../event/timestamp.ts'
import { encodeRecord, receivedAt } from '../../../../event/record/encode.ts'
import { parseEvent } from '../../../../producer-api/intake/parse-body.ts'
import { eventText } from '../../../arbitrary/event-text.ts'

const RECEIVED_AT = '2025-01-31T12:00:01.250000Z'
const options = { newId: () => '0198c0de-7a5b-7000-8000-000000000000' }

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

test('every accepted event is encoded as a JSON object with the five fields in order, which jsonb can hold', () => {
  const scan = new JsonScan()
  fc.assert(
    fc.property(eventText, (text) => {
      const body = Buffer.from(text)
      const parsed = parseEvent(body, options)
      fc.pre(parsed.ok)
      const event = parsed.events[0]!
      const { eventId, userId, timestamp } = event
      const metadata = event.metadata.toString()
      const record = encodeRecord(event, RECEIVED_AT)
      body.fill(0) // the record must not share memory with the body
      assert.ok(scanText(record, 0, record.length, scan))
      assert.deepEqual(scan.faults, [])
      const members = [0, 1, 2, 3, 4].map((i) => [
        scan.name(record, i),
        record.toString('utf8', scan.valueStart[i], scan.valueEnd[i]),
      ])
      assert.deepEqual(members, [
        ['event_id', `"${eventId}"`],
        ['user_id', userId],
        ['timestamp', `"${timestamp}"`],
        ['received_at', `"${RECEIVED_AT}"`],
        ['metadata', metadata],
      ])
    }),
  )
})

test('receivedAt() is canonical for every millisecond', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: Date.parse('9999-12-31T23:59:59.999Z') }), (ms) => {
      assert.equal(canonicalTimestamp(receivedAt(ms)), receivedAt(ms))
      assert.equal(Date.parse(receivedAt(ms)), ms)
    }),
  )
})
