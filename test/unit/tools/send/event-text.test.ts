import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventFromOptions, prepare } from '../../../../tools/send/event-text.ts'

const defaults = { event_id: '0198c0de-7a5b-7000-8000-0123456789ab', timestamp: '2026-01-02T03:04:05.000Z' }
const ADDED = `"event_id":"${defaults.event_id}","timestamp":"${defaults.timestamp}"`
const prepared = (text: string): { body: string; eventId: string | undefined } => {
  const { body, eventId } = prepare(Buffer.from(text), defaults)
  return { body: body.toString(), eventId }
}

test('an event from options has exactly the digits that were given', () => {
  const event = eventFromOptions({ 'user-id': '9223372036854775807', metadata: '{"n": 1.10e400}' })
  assert.equal(event.toString(), '{"user_id":"9223372036854775807","metadata":{"n": 1.10e400}}')
  const all = eventFromOptions({ 'user-id': '-1', metadata: '{}', timestamp: '"', 'event-id': 'x' })
  assert.equal(all.toString(), '{"event_id":"x","user_id":"-1","timestamp":"\\"","metadata":{}}')
})

test('no option adds fields: a user id is one string, and metadata that are not one value are refused', () => {
  const odd = eventFromOptions({ 'user-id': '1,"x":2', metadata: '{}' })
  assert.equal(odd.toString(), '{"user_id":"1,\\"x\\":2","metadata":{}}')
  assert.throws(
    () => eventFromOptions({ 'user-id': '1', metadata: '{}},{' }),
    /--metadata is not JSON at byte 2: /,
  )
  assert.throws(() => eventFromOptions({ 'user-id': '1' }), /needs --user-id and --metadata/)
})

test('only what an event lacks is added, and everything else is kept', () => {
  assert.deepEqual(prepared(' {"user_id":1} '), {
    body: ` {${ADDED},"user_id":1} `,
    eventId: defaults.event_id,
  })
  assert.deepEqual(prepared('{}'), { body: `{${ADDED}}`, eventId: defaults.event_id })
  const whole = '{"timestamp":"t","event\\u005fid":"mine"}'
  assert.deepEqual(prepared(whole), { body: whole, eventId: 'mine' })
  const noString = '{"event_id":7,"timestamp":null}'
  assert.deepEqual(prepared(noString), { body: noString, eventId: undefined })
})

test('what is not a JSON object is left to the API', () => {
  for (const text of ['[1]', 'x', '{"a":1', '', '{"event_id":"a"} {}']) {
    assert.deepEqual(prepared(text), { body: text, eventId: undefined })
  }
})
