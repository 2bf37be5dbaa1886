import assert from 'node:assert/strict'
import { test } from 'node:test'
import { eventFromOptions, prepare } from '../../../../tools/send/event-text.ts'

const defaults = { event_id: '0198c0de-7a5b-7000-8000-0123456789ab', timestamp: '2026-01-02T03:04:05.000Z' }
const ADDED = `"event_id":"${defaults.event_id}","timestamp":"${defaults.timestamp}"`
const prepared = (text: string): { body: string; eventId: string | undefined } => {
  const { body, eventId } = prepare(Buffer.from(text), defaults)
  return { body: body.toString(), eventId }
}

test('an event from options has exactly the texts and digits that were given', () => {
  const event = eventFromOptions({ 'user-id': '9223372036854775807', metadata: '{"n": 1.10e400}' })
  assert.equal(event.toString(), '{"user_id":"9223372036854775807","metadata":{"n": 1.10e400}}')
  const awkward = '1","x":"2\n\\'
  const all = eventFromOptions({
    metadata: '{}',
    timestamp: '"',
    'event-id': 'x',
    'user-id': awkward,
    anonymous: 'a',
    name: 'b',
    type: 'c',
    session: 'd',
    source: '',
  })
  assert.equal(
    all.toString(),
    `{"event_id":"x","user_id":${JSON.stringify(awkward)},"anonymous_id":"a","event_name":"b","event_type":"c","session_id":"d","source":"","timestamp":"\\"","metadata":{}}`,
  )
})

test('an event from options needs somebody, and something that happened', () => {
  const named = eventFromOptions({ anonymous: 'v', name: 'signup' })
  assert.equal(named.toString(), '{"anonymous_id":"v","event_name":"signup","metadata":{}}')
  const needs = /needs --user-id or --anonymous, and --name or --metadata/
  assert.throws(() => eventFromOptions({ 'user-id': '1', source: 's' }), needs)
  assert.throws(() => eventFromOptions({ name: 'signup', metadata: '{}' }), needs)
})

test('metadata that are not one value are refused, because they could add fields', () => {
  const event = (metadata: string) => () => eventFromOptions({ 'user-id': '1', metadata })
  assert.throws(event('{}},{'), /--metadata is not JSON at byte 2: /)
  assert.throws(event(''), /--metadata is not JSON at byte 0: /)
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
