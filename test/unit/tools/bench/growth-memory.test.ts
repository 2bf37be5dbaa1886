import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isFlat, summarise } from '../../../../tools/bench/growth-memory.ts'

/** Every 5 s; as many MiB as the seconds. */
const samplesOf = (seconds: number) =>
  Array.from({ length: seconds / 5 - 1 }, (_, n) => ({ atS: (n + 1) * 5, miB: (n + 1) * 5 }))

test('memory over ten minutes: medians of the second minute and of the last, and the most', () => {
  assert.deepEqual(summarise(samplesOf(600), 600), { earlyMiB: 87.5, lateMiB: 567.5, maxMiB: 595 })
})

test('memory over one minute: medians of its second and of its last quarter', () => {
  assert.deepEqual(summarise(samplesOf(60), 60), { earlyMiB: 20, lateMiB: 50, maxMiB: 55 })
})

test('memory is flat while the last minute has at most a tenth more than the second', () => {
  assert.equal(isFlat({ earlyMiB: 100, lateMiB: 110 }), true)
  assert.equal(isFlat({ earlyMiB: 100, lateMiB: 111 }), false)
})
