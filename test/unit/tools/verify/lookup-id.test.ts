import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isCanonical, lookupId } from '../../../../tools/verify/lookup-id.ts'

const ID = '01900000-0000-7000-8000-00000000000a'
const idIn = (text: string) => lookupId(Buffer.from(text))

test('the id is read from a record of the API by its place, whatever follows', () => {
  assert.equal(idIn(`{"event_id":"${ID}","user_id":`), ID)
})

test('the id is read from any other JSON object; the last one counts, as in jsonb', () => {
  assert.equal(idIn(`{"user_id":1, "event_id" : "${ID.toUpperCase()}"}`), ID)
  assert.equal(idIn(` {"event_id":1,"event_id":"${ID}"}`), ID)
})

test('without a text there is no id', () => {
  for (const text of [
    '',
    'null',
    '[]',
    '{}',
    '{"event_id":null}',
    '{"event_id":7}',
    `{"user_id":1,"event_id":"${ID}"`,
  ])
    assert.equal(idIn(text), undefined)
})

test('only the beginning of the records of the API is canonical', () => {
  assert.equal(isCanonical(Buffer.from(`{"event_id":"${ID}`)), true)
  assert.equal(isCanonical(Buffer.from(`{ "event_id":"${ID}`)), false)
})
