import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rateOf } from '../../../../../producer-api/front-door/limits/gcra.ts'
import { SLOTS, Slots } from '../../../../../producer-api/front-door/limits/slots.ts'

const ONE = rateOf(1, 1)

test('each name has its own bucket', () => {
  const slots = new Slots(rateOf(1, 2))
  assert.deepEqual(
    ['a', 'b', 'a', 'a', 'b', 'b'].map((name) => slots.take(name, 1, 3)),
    [0, 0, 0, 1_000, 0, 1_000],
  )
  assert.equal(slots.take('a', 1, 1_003), 0, 'one has come back')
  assert.equal(slots.take('b', 2, 1_003), 1_000)
})

test('names are spread evenly: as many share a slot as chance has it', () => {
  const names = 100_000
  const slots = new Slots(ONE)
  let shared = 0
  // Addresses in a row, as scanners and botnets have them.
  for (let i = 0; i < names; i++)
    if (slots.take(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, 1, 1) > 0) shared++
  const expected = names - SLOTS * (1 - Math.exp(-names / SLOTS))
  assert.ok(Math.abs(shared - expected) < 1_000, `${shared} share a slot, expected ${expected}`)
})

test('names that share a slot in one table have slots of their own in another', () => {
  const names = Array.from({ length: 50_000 }, (_, i) => `subject-${i}`)
  const sharers = (): Set<string> => {
    const slots = new Slots(ONE)
    return new Set(names.filter((name) => slots.take(name, 1, 1) > 0))
  }
  const here = sharers()
  assert.ok(here.size > 3_000)
  const both = here.intersection(sharers()).size
  assert.ok(both < here.size / 3, `${both} of ${here.size}`)
})

test('a million names take as much memory as one: 2 MiB', () => {
  const before = process.memoryUsage().arrayBuffers
  const slots = new Slots(rateOf(10, 1_000))
  for (let i = 0; i < 1_000_000; i++) slots.take(`10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`, 1, 1)
  const bytes = process.memoryUsage().arrayBuffers - before
  assert.ok(bytes <= 2.1 * 1024 * 1024, `${bytes} bytes`)
})
