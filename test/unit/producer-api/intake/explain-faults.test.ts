import assert from 'node:assert/strict'
import { test } from 'node:test'
import { POINTER_BUDGET } from '../../../../event/limits.ts'
import { faultForLog } from '../../../../producer-api/intake/explain-faults.ts'
import { parseEvent, parseEventArray } from '../../../../producer-api/intake/parse-body.ts'

/** What is logged of an event that is refused. */
function logged(text: string, isBatch: boolean): object[] {
  const parsed = (isBatch ? parseEventArray : parseEvent)(Buffer.from(text), {
    newId: () => '',
    userIdType: 'bigint',
  })
  assert.ok(!parsed.ok)
  return (parsed.errors ?? []).map((error) => faultForLog(error, isBatch))
}

test('the log has the pointer to a field, and no name that a client chose', () => {
  const secret = { pointer: '', detail: 'It has a name that is not a field of an event.' }
  const long = '4111'.repeat(POINTER_BUDGET / 4)
  for (const name of ['4111111111111111', '12/metadata', 'received_at/x', '', '/', 'user_id ', long]) {
    const [first] = logged(JSON.stringify({ [name]: 1 }), false)
    assert.deepEqual(first, secret, name)
    const [inBatch] = logged(JSON.stringify([{ [name]: 1 }]), true)
    assert.deepEqual(inBatch, { ...secret, pointer: '/0' }, name)
  }
  const notAnEvent = { pointer: '', detail: 'An event must be a JSON object.' }
  assert.deepEqual(logged('[]', false), [notAnEvent])
  for (const name of ['/subject', '/1/data/4111', '/1/4111'].map((pointer) => ({
    pointer,
    detail: 'It must be.',
  })))
    assert.equal(
      faultForLog(name, name.pointer.startsWith('/1')).pointer,
      name.pointer.replace('/4111', ''),
      'an attribute of a CloudEvent',
    )
  const nested = logged('{"user_id":1,"timestamp":"2026-01-02","metadata":{"4111":"\\u0000"}}', false)
  assert.deepEqual(nested, [
    { pointer: '/metadata', detail: 'A string must not contain the character \\u0000.' },
  ])
})
