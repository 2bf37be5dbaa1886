import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TokenCache } from '../../../../../producer-api/front-door/tokens/token-cache.ts'

const MINUTE_MS = 60_000

test('a token is found until it expires, but for no longer than 5 minutes', () => {
  const cache = new TokenCache<string>(10)
  cache.add('short', 'a', MINUTE_MS, 0)
  cache.add('long', 'b', 60 * MINUTE_MS, 0)
  assert.equal(cache.find('short', MINUTE_MS - 1), 'a')
  assert.equal(cache.find('short', MINUTE_MS), undefined)
  assert.equal(cache.find('long', 5 * MINUTE_MS - 1), 'b')
  assert.equal(cache.find('long', 5 * MINUTE_MS), undefined)
  assert.equal(cache.size, 0)
})

test('the token that was added first makes room', () => {
  const cache = new TokenCache<number>(3)
  for (const each of [1, 2, 3]) cache.add(String(each), each, MINUTE_MS, 0)
  cache.add('2', 2, MINUTE_MS, 0)
  assert.deepEqual([cache.size, cache.find('1', 0)], [3, 1])
  cache.add('4', 4, MINUTE_MS, 0)
  assert.deepEqual(
    ['1', '2', '3', '4'].map((digest) => cache.find(digest, 0)),
    [undefined, 2, 3, 4],
  )
  assert.equal(cache.size, 3)
  cache.clear()
  assert.equal(cache.find('4', 0), undefined)
})
