import assert from 'node:assert/strict'
import { test } from 'node:test'
import { keyedHash } from '../../../../../producer-api/front-door/limits/keyed-hash.ts'

/** Of HalfSipHash-1-3 with this key, for the bytes 0, 1, 2, ... of each even length: Linux, lib/tests/siphash_kunit.c. */
const KEY = [0x03020100, 0x07060504] as const
const VECTORS =
  '5814c896 bc4b0e30 7e059ea6 a0080b65 577999b1 e4fa32cf 6b28096c 16658a7c 8b31d501 06712339 911bb605 ' +
  'f826ef7b 57150ad7 1ec47442 0a4100d0 2331b6a3 bc6dda8d b0652033 7c46fb7f f142997a 05327eb2 f9e5e7c0 ' +
  '11795ab1 9f5fff91 007783eb ab639262 c368dda6 fa13d379 53ecd77e 33dbb66a 88b4c4cc 74c1ebf8'

test('it is HalfSipHash-1-3 of the text in UTF-16', () => {
  const hash = keyedHash(KEY)
  for (const [characters, vector] of VECTORS.split(' ').entries()) {
    const bytes = Buffer.from(Array.from({ length: 2 * characters }, (_, i) => i))
    const hex = (hash(bytes.toString('utf16le')) >>> 0).toString(16).padStart(8, '0')
    assert.equal(hex, vector, `${characters} characters`)
  }
})

test('every hash has a key of its own', () => {
  const hashes = new Set(Array.from({ length: 20 }, () => keyedHash()('203.0.113.7')))
  assert.ok(hashes.size >= 19)
})

test('all of a text counts, however long it is', () => {
  const hash = keyedHash(KEY)
  const long = 'a'.repeat(8_192)
  const others = [0, 1, 4_095, 8_190, 8_191].map((at) => `${long.slice(0, at)}b${long.slice(at + 1)}`)
  assert.equal(new Set([long, `${long}a`, long.slice(1), ...others].map(hash)).size, 8)
})
