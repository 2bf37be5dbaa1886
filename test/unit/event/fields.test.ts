import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { canonicalUserId, canonicalUuid } from '../../../event/read-value.ts'
import { numberText } from '../../arbitrary/json-text.ts'

const MAX = 2n ** 63n - 1n
const MIN = -(2n ** 63n)

test('user_id is any integer within int8', () => {
  const integers = fc.oneof(
    fc.bigInt({ min: MIN - 20n, max: MIN + 20n }),
    fc.bigInt({ min: MAX - 20n, max: MAX + 20n }),
    fc.bigInt({ min: -(2n ** 70n), max: 2n ** 70n }),
    fc.bigInt({ min: -1000n, max: 1000n }),
  )
  fc.assert(
    fc.property(integers, (n) => {
      assert.equal(canonicalUserId(String(n)), n >= MIN && n <= MAX ? String(n) : undefined)
    }),
    { numRuns: 2_000 },
  )
})

test('user_id has no fraction, exponent or leading zero, and -0 becomes 0', () => {
  fc.assert(
    fc.property(numberText, (token) => {
      const isInteger = /^-?(0|[1-9][0-9]*)$/.test(token)
      const n = isInteger ? BigInt(token) : 0n
      const expected = isInteger && n >= MIN && n <= MAX ? String(n) : undefined
      assert.equal(canonicalUserId(token), expected)
    }),
  )
  assert.equal(canonicalUserId('-0'), '0')
  for (const token of ['1.0', '1e3', '1E3', '0.0', '-', '', '00', '-01', '+1', ' 1', '1 ', '0x1', '１']) {
    assert.equal(canonicalUserId(token), undefined, token)
  }
})

test('a UUID may have any case and version, but only the hyphenated form', () => {
  fc.assert(
    fc.property(fc.uuid(), fc.infiniteStream(fc.boolean()), (uuid, upper) => {
      const mixed = uuid.replace(/./g, (c) => (upper.next().value === true ? c.toUpperCase() : c))
      assert.equal(canonicalUuid(mixed), uuid)
    }),
  )
  assert.equal(canonicalUuid('FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF'), 'ffffffff-ffff-ffff-ffff-ffffffffffff')
  const uuid = '0198c0de-7a5b-7000-8000-0123456789ab'
  const wrong = [
    `{${uuid}}`,
    `urn:uuid:${uuid}`,
    uuid.replaceAll('-', ''),
    `${uuid} `,
    `${uuid}\n`,
    ` ${uuid}`,
    '',
  ].concat([
    uuid.replace('a', 'g'),
    uuid.replace('a', 'á'),
    uuid.replace('-', '0'),
    uuid.replaceAll('-', '_'),
    uuid.slice(1),
  ])
  for (const text of wrong) assert.equal(canonicalUuid(text), undefined, text)
})
