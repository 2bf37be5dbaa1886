import assert from 'node:assert/strict'
import { test } from 'node:test'
import { STATUSES } from '../../../k6/lib/statuses.ts'
import { PROBLEMS } from '../../../producer-api/http/problem.ts'

test('k6 counts every answer of the API by its status, and those of the front door', () => {
  const answers = [...Object.values(PROBLEMS).map(({ status }) => status), 401, 403, 429]
  assert.deepEqual(
    answers.filter((status) => !STATUSES.includes(status)),
    [],
  )
  assert.equal(new Set(STATUSES).size, STATUSES.length)
})
