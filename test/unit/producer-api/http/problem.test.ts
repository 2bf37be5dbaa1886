import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PROBLEMS, problem } from '../../../../producer-api/http/problem.ts'

test('a problem has the members of RFC 9457, type as a relative reference', () => {
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

test('the two answers 503 say what became of the events', () => {
  const refused = problem('not-accepted', 'Full.', { eventIds: ['a'] })
  const unknown = problem('outcome-unknown', 'Late.', { eventIds: ['a'] })
  assert.deepEqual([refused.outcome, unknown.outcome], ['not_accepted', 'unknown'])
  assert.deepEqual([refused.event_ids, unknown.event_ids], [['a'], ['a']])
  assert.notEqual(refused.type, unknown.type)
  assert.equal('outcome' in problem('too-large', ''), false)
})

test('names are fit for a URL, statuses are errors', () => {
  for (const [name, { status, title }] of Object.entries(PROBLEMS)) {
    assert.match(name, /^[a-z0-9-]+$/)
    assert.ok(status >= 400 && status < 600)
    assert.match(title, /^[A-Z].*[^.]$/)
  }
})
