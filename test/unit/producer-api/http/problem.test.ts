import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PROBLEMS, problem } from '../../../../producer-api/http/problem.ts'

test('a problem has the members of RFC 9457, with a relative reference as type', () => {
  assert.deepEqual(
    problem('invalid-event', 'Two faults.', { errors: [{ pointer: '/user_id', detail: 'x' }] }),
    {
      type: '/problems/invalid-event',
      title: 'The body is not a valid event',
      status: 422,
      detail: 'Two faults.',
      errors: [{ pointer: '/user_id', detail: 'x' }],
    },
  )
})

test('both 503 problems state the outcome of the events', () => {
  const refused = problem('not-accepted', 'Full.', { eventIds: ['a'] })
  const unknown = problem('outcome-unknown', 'Late.', { eventIds: ['a'] })
  assert.deepEqual([refused.outcome, unknown.outcome], ['not_accepted', 'unknown'])
  assert.deepEqual([refused.event_ids, unknown.event_ids], [['a'], ['a']])
  assert.notEqual(refused.type, unknown.type)
  assert.equal('outcome' in problem('too-large', ''), false)
})

test('problem names are valid in a URL, and statuses are errors', () => {
  for (const [name, { status, title }] of Object.entries(PROBLEMS)) {
    assert.match(name, /^[a-z0-9-]+$/)
    assert.ok(status >= 400 && status < 600)
    assert.match(title, /^[A-Z].*[^.]$/)
  }
})
