import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rawLine, recordLine, undecodableText } from '../../../../tools/tail/tail-text.ts'
import { idOf, record } from '../../../support/records.ts'

const identity = { clusterId: 'c', topic: 'events' }
const kept = (value: string | Buffer | null, timestampMs = 1_767_323_046_000) => ({
  partition: 3,
  offset: 17n,
  value: value === null ? null : Buffer.from(value),
  timestampMs,
})
const HEAD = `2026-01-02T03:04:06Z  3:17  ${idOf(5)}  5  `

test('only the metadata are shortened to the width', () => {
  const line = (width: number) => recordLine(kept(record(5)), identity, width)
  assert.equal(line(Number.POSITIVE_INFINITY), `${HEAD}{"page":"/p/5"}`)
  assert.equal(line(HEAD.length + 15), `${HEAD}{"page":"/p/5"}`)
  assert.equal(line(HEAD.length + 14), `${HEAD}{"page":"/p/5…`)
  assert.equal(line(10), `${HEAD}…`)
})

test('control characters cannot reach the terminal, and no character is cut in half', () => {
  const value = kept(record(5, { metadata: { a: '\u009b2J\u202e', b: '😀' } }))
  const whole = `${HEAD}{"a":"\\u009b2J\\u202e","b":"😀"}`
  assert.equal(recordLine(value, identity, 1_000), whole)
  const cut = recordLine(value, identity, whole.indexOf('😀') + 2)
  assert.equal(cut, `${whole.slice(0, whole.indexOf('😀'))}…`)
})

test('all 63 bits of a user_id are shown', () => {
  const big = record(5).replace('"user_id":5', '"user_id":-9223372036854775808')
  assert.match(recordLine(kept(big), identity, 0), / {2}-9223372036854775808 {2}…$/)
})

test('the user or, in brackets, the visitor is shown, and the name of the event if it has one', () => {
  const line = (change: Record<string, unknown>) =>
    recordLine(kept(record(5, change)), identity, Number.POSITIVE_INFINITY).slice(HEAD.length - 3)
  const rest = '{"page":"/p/5"}'
  assert.equal(line({ event_name: 'signup', session_id: 's' }), `5  signup  ${rest}`)
  assert.equal(line({ user_id: 'ü 1', anonymous_id: 'v' }), `ü 1  ${rest}`)
  assert.equal(line({ user_id: null, anonymous_id: 'v' }), `(v)  ${rest}`)
  const escaped = line({ user_id: undefined, anonymous_id: '\u001b[2J', event_name: '\n\u202e' })
  assert.equal(escaped, `(\\u001b[2J)  \\n\\u202e  ${rest}`)
})

test('a record without received_at shows its own time', () => {
  const line = recordLine(kept(record(5, { received_at: undefined })), identity, 100)
  assert.ok(line.startsWith(HEAD))
})

test('a record that is no event is shown with the reason, at any time', () => {
  const line = recordLine(kept(null), identity, 10)
  assert.equal(line, '2026-01-02T03:04:06Z  3:17  undecodable: The record has no value')
  assert.match(
    recordLine(kept('x', Number.MAX_SAFE_INTEGER), identity, 10),
    /^9007199254740991 {2}3:17 {2}undec/,
  )
  assert.equal(undecodableText(kept(null), identity), '3:17 undecodable: The record has no value')
  assert.equal(undecodableText(kept(record(5)), identity), undefined)
})

test('a raw value is one line of JSON with the same meaning', () => {
  assert.equal(
    rawLine(Buffer.from('{\n\t"n":1.10,"s":"\u009b\u2028"}\r\n')),
    '{  "n":1.10,"s":"\\u009b\\u2028"}  ',
  )
  for (const value of [null, Buffer.from('x'), Buffer.from([0x22, 0xff, 0x22])]) {
    assert.equal(rawLine(value), undefined)
  }
})
