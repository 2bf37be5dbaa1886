import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { JsonScan } from '../../../../event/json/scan-result.ts'
import { scanText } from '../../../../event/json/scan.ts'
import { canonicalEvent } from '../../../../producer-api/intake/validate.ts'
import { encodeRecord, encodeRecords, eventIdsJson } from '../../../../event/record/encode.ts'
import { sliceEvent } from '../../../../event/record/encode-fast.ts'
import type { UserIdType } from '../../../../event/kinds.ts'
import { eventText, plainEventText, textEventText } from '../../../arbitrary/event-text.ts'
import { nearly } from '../../../arbitrary/json-text.ts'

const RECEIVED_AT = '2025-01-31T12:00:01.250000Z'
const ID = '0198c0de-7a5b-7000-8000-0123456789ab'
const USUAL = `{"event_id":"${ID}","user_id":-7,"timestamp":"2025-01-31T12:00:00Z","metadata":{ "é" : 1e400 }}`

const scan = new JsonScan()

const FACTS = { ipAddress: '2001:db8:1::/48', userAgent: 'a "b" \\ é😀' }

/** The record of an event on both paths; undefined on the path that declines it. */
function ways(
  text: string,
  userIdType: UserIdType = 'bigint',
  facts = {},
): { fast: string | undefined; general: string | undefined } {
  const body = Buffer.from(text)
  if (!scanText(body, 0, body.length, scan)) return { fast: undefined, general: undefined }
  const fast = sliceEvent(body, scan, userIdType)
  const general = canonicalEvent(body, scan, { newId: () => ID, userIdType })
  return {
    fast: fast && encodeRecord(fast, RECEIVED_AT, facts).toString(),
    general: general && encodeRecord(general, RECEIVED_AT, facts).toString(),
  }
}

test('the fast path produces the same record as the general path, with any subset of the optional fields', () => {
  for (const [userIdType, texts] of [
    ['bigint', fc.oneof(eventText, nearly(eventText), nearly(fc.constant(USUAL)), plainEventText('bigint'))],
    ['text', fc.oneof(textEventText, nearly(textEventText), plainEventText('text'))],
  ] as const) {
    let [taken, left, withTexts] = [0, 0, 0]
    fc.assert(
      fc.property(texts, fc.constantFrom({}, FACTS), (text, facts) => {
        const { fast, general } = ways(text, userIdType, facts)
        if (fast === undefined) left += 1
        else taken += 1
        if (fast === undefined) return
        assert.equal(fast, general)
        if (/"(anonymous_id|event_name|event_type|session_id|source)":/.test(fast)) withTexts += 1
      }),
      { numRuns: 4_000 },
    )
    assert.ok(
      Math.min(taken, left) > 400 && withTexts > 400,
      `${taken} taken (${withTexts} with texts), ${left} left`,
    )
  }
})

test('the label of the key stands after received_at, on both paths, whether or not the event has a source', () => {
  const withSource = USUAL.replace('"metadata"', '"source":"own","metadata"')
  const escaped = USUAL.replace('"metadata"', '"source":null,"event_name":"\\u0041","metadata"')
  for (const facts of [{}, FACTS]) {
    for (const text of [USUAL, escaped, withSource, withSource.replace('own', '\\u0041')]) {
      const { fast, general = '' } = ways(text, 'bigint', facts)
      const labelled = ways(text, 'bigint', { ...facts, keyLabel: 'back.end-1' })
      const received = `"received_at":"${RECEIVED_AT}"`
      assert.equal(labelled.general, general.replace(received, `${received},"key_label":"back.end-1"`))
      assert.equal(labelled.fast, fast && labelled.general)
    }
  }
})

test('the fast path takes anonymous events, and texts of any characters that need no escape', () => {
  const anonymous = `{"event_id":"${ID}","anonymous_id":"ü😀","timestamp":"2025-01-31T12:00:00Z","metadata":{}}`
  for (const [text, userIdType] of [
    [anonymous, 'bigint'],
    [anonymous, 'text'],
    [
      USUAL.replace(
        '"metadata"',
        '"source":"x","session_id":"y","event_type":"z","event_name":"é","metadata"',
      ),
      'bigint',
    ],
    [USUAL.replace(':-7', ':"-7"'), 'text'],
    [USUAL.replace(':-7', ':"é"'), 'text'],
    [USUAL.replace('"metadata"', `"event_type":"${'t'.repeat(100)}","metadata"`), 'bigint'],
  ] as const) {
    const { fast, general } = ways(text, userIdType)
    assert.equal(fast, general)
    assert.notEqual(fast, undefined, text)
  }
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
    USUAL.replace('"user_id":-7,', ''),
    USUAL.replace('"user_id":-7,', '"event_name":"x",'),
    ...['""', 'null', '7', '"\\u0061"', '"\\n"', `"${'é'.repeat(255)}"`].map((value) =>
      USUAL.replace('"metadata"', `"event_name":${value},"metadata"`),
    ),
    USUAL.replace('"metadata"', '"source":"x","source":"x","metadata"'),
    USUAL.replace('"metadata"', '"ip_address":"1.2.3.4","metadata"'),
  ]
  for (const text of others) assert.equal(ways(text).fast, undefined, text)
  assert.equal(ways(USUAL, 'text').fast, undefined, 'a number as user_id of type text')
})

test('records of both paths are concatenated, and share no memory with the body', () => {
  const ids = ['a', 'b', 'c', 'd'].map((end) => ID.slice(0, -1) + end)
  const unusual = USUAL.replace('12:00:00Z', '12:00:00+01:00')
  const texts = [USUAL, unusual, USUAL.replace('é', 'ö'), USUAL].map((text, n) => text.replace(ID, ids[n]!))
  const bodies = texts.map((text) => Buffer.from(text))
  const events = bodies.map((body) => {
    assert.ok(scanText(body, 0, body.length, scan))
    return (
      sliceEvent(body, scan, 'bigint') ??
      canonicalEvent(body, scan, { newId: () => ID, userIdType: 'bigint' })!
    )
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
