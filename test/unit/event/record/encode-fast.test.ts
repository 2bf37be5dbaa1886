import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { JsonScan } from '../../../../event/json/scan-result.ts'
import { scanText } from '../../../../event/json/scan.ts'
import { canonicalEvent } from '../../../../producer-api/intake/validate.ts'
import { encodeRecord, encodeRecords, eventIdsJson } from '../../../../event/record/encode.ts'
import { sliceEvent } from '../../../../event/record/encode-fast.ts'
import { eventText } from '../../../arbitrary/event-text.ts'
import { nearly } from '../../../arbitrary/json-text.ts'

const RECEIVED_AT = '2025-01-31T12:00:01.250000Z'
const ID = '0198c0de-7a5b-7000-8000-0123456789ab'
const USUAL = `{"event_id":"${ID}","user_id":-7,"timestamp":"2025-01-31T12:00:00Z","metadata":{ "é" : 1e400 }}`

const scan = new JsonScan()

/** The record of an event on both paths; undefined on the path that declines it. */
function ways(text: string): { fast: string | undefined; general: string | undefined } {
  const body = Buffer.from(text)
  if (!scanText(body, 0, body.length, scan)) return { fast: undefined, general: undefined }
  const [fast, general] = [sliceEvent(body, scan), canonicalEvent(body, scan, () => ID)]
  if (fast !== undefined && general !== undefined) {
    const { eventId, userId, timestamp, metadata } = fast
    assert.deepEqual({ eventId, userId, timestamp, metadata }, general)
  }
  return {
    fast: fast && encodeRecord(fast, RECEIVED_AT).toString(),
    general: general && encodeRecord(general, RECEIVED_AT).toString(),
  }
}

test('the fast path produces the same record as the general path', () => {
  let [taken, left] = [0, 0]
  fc.assert(
    fc.property(fc.oneof(eventText, nearly(eventText), nearly(fc.constant(USUAL))), (text) => {
      const { fast, general } = ways(text)
      if (fast === undefined) left += 1
      else taken += 1
      if (fast !== undefined) assert.equal(fast, general)
    }),
    { numRuns: 5_000 },
  )
  assert.ok(Math.min(taken, left) > 500, `${taken} taken, ${left} left`)
})

test('the fast path accepts fields in their usual form, in any order', () => {
  const time = (text: string): string => USUAL.replace('00Z', `00${text}`)
  const reversed = `{"metadata":{},"timestamp":"2025-01-31T12:00:00.5Z", "user_id" : 7 ,"event_id":"${ID}"}`
  for (const text of [USUAL, time('.000001Z'), time('.250Z'), time('.1Z'), reversed]) {
    const { fast, general } = ways(text)
    assert.equal(fast, general)
    assert.notEqual(fast, undefined, text)
  }
})

test('the fast path declines invalid and unusual fields', () => {
  const others = [
    USUAL.replace(ID, ID.toUpperCase()),
    USUAL.replace(`"event_id":"${ID}",`, ''),
    USUAL.replace(`"${ID}"`, `{"${ID.slice(2)}":1}`),
    USUAL.replace('-7', '9223372036854775807'),
    USUAL.replace('-7', '"7"'),
    USUAL.replace('12:00:00Z', '12:00:00+00:00'),
    USUAL.replace('12:00:00Z', '12:00:0\\u0030Z'),
    USUAL.replace('1e400', '"\\u0000"'),
    USUAL.replace('{ "é" : 1e400 }', '[]'),
    USUAL.replace('user_id', 'event_id'),
    USUAL.replace('user_id', 'user_if'),
    USUAL.replace('{', '{"a":1,'),
    `[${USUAL}]`,
  ]
  for (const text of others) assert.equal(ways(text).fast, undefined, text)
})

test('records of both paths are concatenated, and share no memory with the body', () => {
  const ids = ['a', 'b', 'c', 'd'].map((end) => ID.slice(0, -1) + end)
  const unusual = USUAL.replace('12:00:00Z', '12:00:00+01:00')
  const texts = [USUAL, unusual, USUAL.replace('é', 'ö'), USUAL].map((text, n) => text.replace(ID, ids[n]!))
  const bodies = texts.map((text) => Buffer.from(text))
  const events = bodies.map((body) => {
    assert.ok(scanText(body, 0, body.length, scan))
    return sliceEvent(body, scan) ?? canonicalEvent(body, scan, () => ID)!
  })
  const alone = events.map((event) => encodeRecord(event, RECEIVED_AT))
  const { bytes, ends } = encodeRecords(events, RECEIVED_AT)
  for (const body of bodies) body.fill(0)
  assert.deepEqual(bytes, Buffer.concat(alone))
  assert.deepEqual(
    ends.map((end, n) => end - (ends[n - 1] ?? 0)),
    alone.map((record) => record.length),
  )
  assert.deepEqual(JSON.parse(`[${eventIdsJson({ bytes, ends })}]`), ids)
})
