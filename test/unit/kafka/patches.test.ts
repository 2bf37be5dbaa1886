import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hideAborted } from '../../../kafka/patches.ts'
import { marker, transactional } from '../../support/fetched.ts'

/* For tests of the patches against a real broker see test/faults/sink-transactions.test.ts. */

for (const version of [0, 1]) {
  test(`I2: after an abort marker of version ${version} the producer's next transaction is delivered`, () => {
    const messages = [
      transactional(0, '7'),
      marker(1, '7', 'abort', version),
      transactional(2, '7'),
      marker(3, '7', 'commit', version),
    ]
    const partition = { abortedTransactions: [{ producerId: '7', firstOffset: '0' }], messages }
    hideAborted(partition)
    const shown = messages.filter(({ isControlRecord }) => !isControlRecord).map(({ offset }) => offset)
    assert.deepEqual(shown, ['2'])
    assert.deepEqual(partition.abortedTransactions, [])
  })
}
