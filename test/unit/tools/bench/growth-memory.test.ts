import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isFlat, summarise } from '../../../../tools/bench/growth-memory.ts'

/** A sample every 5 s, with as many MiB as seconds. */
const samplesOf = (seconds: number) =>
  Array.from({ length: seconds / 5 - 1 }, (_, n) => ({ atS: (n + 1) * 5, miB: (n + 1) * 5 }))

test('memory over ten minutes: medians of the second and the last minute, and the maximum', () => {
  assert.deepEqual(summarise(samplesOf(600), 600), { earlyMiB: 87.5, lateMiB: 567.5, maxMiB: 595 })
})

test('memory over one minute: medians of the second and the last quarter', () => {
  assert.deepEqual(summarise(samplesOf(60), 60), { earlyMiB: 20, lateMiB: 50, maxMiB: 55 })
})

test('memory is flat if the last minute has at most 10 % more than the second', () => {
  assert.equal(isFlat({ earlyMiB: 100, lateMiB: 110 }), true)
  assert.equal(isFlat({ earlyMiB: 100, lateMiB: 111 }), false)
})
