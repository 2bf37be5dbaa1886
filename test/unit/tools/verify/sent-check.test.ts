import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { USER_ID_TYPES, type UserIdType } from '../../../../event/kinds.ts'
import { decodeRecord } from '../../../../event/record/decode.ts'
import { encodeRecord } from '../../../../event/record/encode.ts'
import { parseEvent } from '../../../../producer-api/intake/parse-body.ts'
import { sentCheck } from '../../../../tools/verify/sent-check.ts'
import { anyText, eventText, plainEventText, textEventText } from '../../../arbitrary/event-text.ts'

const ID = '0198c0de-7a5b-7000-8000-0123456789ab'
const RECEIVED = '2026-01-02T03:04:06.000000Z'
const RECORD = `{"event_id":"${ID}","user_id":42,"timestamp":"2026-01-02T03:04:05.000000Z","event_name":"a\\u001f","received_at":"${RECEIVED}","metadata":{}}`

/** What the sink stores in sent_check. */
function stored(value: Buffer, userIdType: UserIdType): bigint {
  const record = { partition: 0, offset: 0n, timestampMs: 0, value, headers: {} }
  const decoded = decodeRecord(record, { clusterId: 'c', topic: 't' }, userIdType)
  assert.ok(decoded.ok)
  return BigInt(decoded.row.sentCheck)
}

for (const userIdType of USER_ID_TYPES) {
  test(`the check of any record that the API writes is that of the sink (user_id of ${userIdType})`, () => {
    const facts = fc.record({
      keyLabel: fc.constantFrom(undefined, 'backend', 'Shop_2.eu-1', 'of another producer: é'),
      ipAddress: fc.constantFrom(undefined, '203.0.113.7', '2001:db8:1::/48'),
      userAgent: fc.option(anyText, { nil: undefined }),
    })
    const event = fc.oneof(userIdType === 'text' ? textEventText : eventText, plainEventText(userIdType))
    let compared = 0
    fc.assert(
      fc.property(event, facts, (text, client) => {
        const parsed = parseEvent(Buffer.from(text), { newId: () => ID, userIdType })
        if (!parsed.ok) return
        compared++
        const value = encodeRecord(parsed.events[0]!, RECEIVED, client)
        assert.equal(sentCheck(value), stored(value, userIdType), value.toString())
      }),
      { numRuns: 1_000 },
    )
    assert.ok(compared > 500, `${compared}`)
  })
}

test('a record in another form has none, because the sink takes the check of the canonical form', () => {
  const others = [
    RECORD.replace(':42', ':-0'),
    RECORD.replace('05.000000Z', '05Z'),
    RECORD.replace('\\u001f', '\\u001F'),
    RECORD.replace('\\u001f', '\\u00e9'),
    RECORD.replace('\\u001f', '\\u000a'),
    RECORD.replace('\\u001f', '\\/'),
    RECORD.replace(ID, ID.toUpperCase()),
    RECORD.replace(',"event_name":"a\\u001f"', '').replace(',"metadata"', ',"event_name":"a","metadata"'),
    RECORD.replace('"metadata":{}', '"metadata": {}'),
    RECORD.replace('a\\u001f', 'a'.repeat(20_000)),
    'not JSON',
  ]
  for (const other of others) assert.equal(sentCheck(Buffer.from(other)), undefined, other)
  assert.equal(sentCheck(Buffer.from(RECORD)), stored(Buffer.from(RECORD), 'bigint'))
})

test('the check is that of the sink, whatever the type of user_id was when the record was written', () => {
  for (const id of ['42', '0', '-1', '9223372036854775807', '-9223372036854775808']) {
    const number = Buffer.from(RECORD.replace(':42', `:${id}`))
    const text = Buffer.from(RECORD.replace(':42', `:"${id}"`))
    const checks = [number, text].flatMap((value) => [
      sentCheck(value),
      stored(value, 'bigint'),
      stored(value, 'text'),
    ])
    assert.equal(new Set(checks).size, 1, id)
  }
  for (const id of ['042', '-0', '+1', '1.0', '9223372036854775808', '42 ', '\\u001f']) {
    const text = Buffer.from(RECORD.replace(':42', `:"${id}"`))
    assert.equal(sentCheck(text), stored(text, 'text'), id)
    assert.equal(sentCheck(text)! >> 32n, BigInt(RECORD.length + id.length - 44), id)
  }
})
