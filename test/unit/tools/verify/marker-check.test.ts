import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MarkerCheck } from '../../../../tools/verify/marker-check.ts'
import type { FetchedMessage } from '../../../../kafka/patches.ts'
import { marker, transactional } from '../../../support/fetched.ts'

const hidden = (message: FetchedMessage): FetchedMessage => ({ ...message, isControlRecord: true })

function problemsOf(...fetches: FetchedMessage[][]): string[] {
  const check = new MarkerCheck()
  for (const messages of fetches) check.take({ partition: 3, messages })
  return check.problems()
}

test('I2: committed records are read and aborted ones are not, however transactions overlap and fetches split them', () => {
  const fetches = [
    [transactional(0, 'a'), hidden(transactional(1, 'b')), transactional(2, 'a')],
    [transactional(2, 'a'), marker(3, 'b', 'abort'), transactional(4, 'b')], // offset 2 is fetched again
    [marker(5, 'a', 'commit')],
    [marker(6, 'b', 'commit', 1), transactional(7, 'a')], // the last transaction is open
  ]
  assert.deepEqual(problemsOf(...fetches), [])
})

test('I2: aborted records that were read are a problem, and so are committed ones that were skipped', () => {
  const shown = [transactional(0, 'a'), transactional(1, 'a'), marker(2, 'a', 'abort')]
  assert.match(problemsOf(shown).join(), /^partition 3: 1 transaction.* ends at offset 2:/)
  const lost = [hidden(transactional(0, 'a')), transactional(1, 'b'), marker(2, 'b', 'commit')]
  assert.match(problemsOf(lost, [marker(3, 'a', 'commit')]).join(), /ends at offset 3:/)
})

test('a marker whose key is too short for a type commits nothing and does not stop the check', () => {
  const short = { ...marker(1, 'a', 'commit'), key: Buffer.from([0, 0]) }
  assert.match(problemsOf([transactional(0, 'a'), short]).join(), /ends at offset 1:/)
})

test('records without a transaction are ignored', () => {
  const plain: FetchedMessage = {
    ...transactional(0, '-1'),
    batchContext: { producerId: '-1', inTransaction: false, isControlBatch: false },
  }
  assert.deepEqual(problemsOf([plain, { offset: '1', key: null, isControlRecord: false }]), [])
})
