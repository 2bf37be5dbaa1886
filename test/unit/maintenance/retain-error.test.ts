import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RefusedError } from '../../../maintenance/failure.ts'
import { refusalText } from '../../../maintenance/retain-error.ts'

const refused = (code: string, more = {}): Error =>
  Object.assign(new Error('m'), { code, severity: 'ERROR', detail: 'Key (event_id)=(secret).', ...more })

test('a refusal of PostgreSQL is a reason, without its detail, which may have values', () => {
  assert.equal(refusalText('No', refused('23503')), 'No: m (23503).')
  assert.equal(
    refusalText('No', refused('55P03')),
    'No: another session has it locked, perhaps a VACUUM; the next run tries again.',
  )
  assert.equal(refusalText('No', new RefusedError('it has none')), 'No: it has none.')
})

test('the detail of what depends on a table names it, in one line', () => {
  assert.equal(
    refusalText('No', refused('2BP01', { detail: 'view v depends\nview w depends' })),
    'No: view v depends; view w depends.',
  )
})

test('an error that ends the session, or is not of PostgreSQL, is no reason: the run ends', () => {
  assert.equal(refusalText('No', refused('25P04', { severity: 'FATAL' })), undefined)
  assert.equal(refusalText('No', Object.assign(new Error('read'), { code: 'ECONNRESET' })), undefined)
})
