import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { type Attempt, storeBySplitting } from '../../../../sink-worker/store/bisect.ts'

const never = (): boolean => false

/** A store that refuses segments with a bad item, and records the calls. */
function storeWith(bad: ReadonlySet<number>) {
  const stored: number[] = []
  let tries = 0
  return {
    stored,
    tries: () => tries,
    store: async (segment: readonly number[]): Promise<Attempt> => {
      assert.ok(segment.length > 0, 'nothing to store')
      tries += 1
      const culprit = segment.find((item) => bad.has(item))
      if (culprit !== undefined) return { refused: true, error: `bad: ${culprit}` }
      stored.push(...segment)
      return { refused: false }
    },
  }
}

/** The number of items, and the bad ones: few, clustered, or any number. */
const cases = fc.integer({ min: 1, max: 400 }).chain((count) => {
  const index = fc.nat({ max: count - 1 })
  const cluster = fc
    .tuple(index, fc.nat({ max: 20 }))
    .map(([first, length]) => Array.from({ length }, (_, i) => first + i).filter((i) => i < count))
  const bad = fc.oneof(fc.uniqueArray(index, { maxLength: 5 }), cluster, fc.uniqueArray(index))
  return fc.tuple(fc.constant(count), bad)
})

test('property: exactly the bad items are refused; all others are stored once, in order', async () => {
  await fc.assert(
    fc.asyncProperty(cases, async ([count, bad]) => {
      const items = Array.from({ length: count }, (_, i) => i)
      const badItems = new Set(bad)
      const { store, stored, tries } = storeWith(badItems)
      const refused = await storeBySplitting(items, store, never)
      assert.deepEqual(
        refused,
        items.filter((i) => badItems.has(i)).map((i) => ({ item: i, error: `bad: ${i}` })),
      )
      assert.deepEqual(
        stored,
        items.filter((i) => !badItems.has(i)),
      )
      const bound = 2 * bad.length * Math.ceil(Math.log2(count)) + 1
      assert.ok(tries() <= bound, `${tries()} tries for ${bad.length} of ${count}`)
      assert.ok(tries() <= 2 * count, 'a binary tree has no more nodes')
    }),
  )
})

test('without items, nothing is stored', async () => {
  const { store, tries } = storeWith(new Set())
  assert.deepEqual(await storeBySplitting([], store, never), [])
  assert.equal(tries(), 0)
})

test('too many refused items end the search at once, with the latest error as the cause', async () => {
  await fc.assert(
    fc.asyncProperty(cases, fc.nat({ max: 20 }), async ([count, bad], most) => {
      const items = Array.from({ length: count }, (_, i) => i)
      const { store, tries } = storeWith(new Set(bad))
      const asked: [number, number][] = []
      const result = storeBySplitting(items, store, (refused, of) => {
        asked.push([refused, of])
        return refused > most
      })
      if (bad.length <= most) {
        assert.equal((await result).length, bad.length)
      } else {
        const culprit = bad.toSorted((a, b) => a - b)[most]
        await assert.rejects(result, { name: 'TooManyRefusedError', cause: `bad: ${culprit}` })
        assert.ok(tries() <= 2 * (most + 1) * Math.ceil(Math.log2(count)) + 1)
      }
      const answers = Math.min(bad.length, most + 1)
      assert.deepEqual(
        asked,
        Array.from({ length: answers }, (_, i) => [i + 1, count]),
      )
    }),
  )
})

test('an error that is not about rows is passed on, and nothing more is tried', async () => {
  let tries = 0
  const gone = new Error('connection lost')
  const store = async (segment: readonly number[]): Promise<Attempt> => {
    tries += 1
    if (tries === 3) throw gone
    return segment.length > 1 ? { refused: true, error: 'row' } : { refused: false }
  }
  await assert.rejects(storeBySplitting([1, 2, 3, 4, 5, 6, 7, 8], store, never), gone)
  assert.equal(tries, 3)
})
