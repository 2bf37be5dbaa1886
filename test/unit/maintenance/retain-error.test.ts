import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CannotRetainError, reasonOf } from '../../../maintenance/retain-error.ts'

const refused = (code: string, more = {}): Error =>
  Object.assign(new Error('m'), { code, severity: 'ERROR', detail: 'Key (event_id)=(secret).', ...more })

test('a refusal of PostgreSQL is a reason, without its detail, which may have values', () => {
  assert.equal(reasonOf(refused('23503')), 'm (23503)')
  assert.equal(reasonOf(refused('55P03')), 'another session has it locked, perhaps a VACUUM')
  assert.equal(reasonOf(new CannotRetainError('it has none')), 'it has none')
})

test('the detail of what depends on a table names it, in one line', () => {
  assert.equal(
    reasonOf(refused('2BP01', { detail: 'view v depends\nview w depends' })),
    'view v depends; view w depends',
  )
})

test('an error that ends the session, or is not of PostgreSQL, is no reason: the run ends', () => {
  assert.equal(reasonOf(refused('25P04', { severity: 'FATAL' })), undefined)
  assert.equal(reasonOf(Object.assign(new Error('read'), { code: 'ECONNRESET' })), undefined)
})
