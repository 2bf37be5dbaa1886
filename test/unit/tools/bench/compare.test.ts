import assert from 'node:assert/strict'
import { test } from 'node:test'
import { conclusion } from '../../../../tools/bench/compare.ts'

test('a comparison concludes only what its whole interval says', () => {
  assert.equal(conclusion({ low: 0.98, mean: 1, high: 1.02 }), 'no difference')
  assert.equal(conclusion({ low: 1.04, mean: 1.06, high: 1.08 }), 'slower')
  assert.equal(conclusion({ low: 0.9, mean: 0.93, high: 0.96 }), 'faster')
  assert.equal(conclusion({ low: 0.99, mean: 1.02, high: 1.05 }), 'unresolved')
  assert.equal(conclusion({ low: 0.95, mean: 0.98, high: 1 }), 'unresolved')
  assert.equal(conclusion({ low: 0.9, mean: 1, high: 1.1 }), 'unresolved')
})
