import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { JsonScan } from '../../../event/json/scan-result.ts'
import { scanText } from '../../../event/json/scan.ts'
import { canonicalUserId, canonicalUuid, readUserId } from '../../../event/read-value.ts'
import { numberText } from '../../arbitrary/json-text.ts'

const MAX = 2n ** 63n - 1n
const MIN = -(2n ** 63n)
const scan = new JsonScan()

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

test('user_id may be a number of JSON that is an integer, in any notation, and is not rounded', () => {
  const read = (text: string): string | undefined => {
    const buf = Buffer.from(`{"user_id":${text}}`)
    assert.ok(scanText(buf, 0, buf.length, scan), text)
    return readUserId(buf, scan, 0)
  }
  for (const [text, canonical] of [
    ['42.0', '42'],
    ['1e3', '1000'],
    ['-1.50e1', '-15'],
    ['1000E-3', '1'],
    ['0.0', '0'],
    ['-0.0e9', '0'],
    ['9007199254740993.00', '9007199254740993'],
    ['9.223372036854775807e18', '9223372036854775807'],
    ['-9.223372036854775808e+18', '-9223372036854775808'],
    ['"157963456373623803"', '157963456373623803'],
    ['"\\u0031"', '1'],
  ] as const) {
    assert.equal(read(text), canonical, text)
  }
  for (const text of [
    '0.5',
    '1.50',
    '1e-1',
    '9.223372036854775808e18',
    '-9.223372036854775809e18',
    '1e19',
    '1e999999999',
    '1e-999999999',
    '"42.0"',
    '"1e3"',
    '"-"',
    'true',
  ]) {
    assert.equal(read(text), undefined, text)
  }
  // Quadratic time would take minutes here.
  const zeros = '0'.repeat(500_000)
  assert.equal(read(`1.${zeros}1${zeros}1`), undefined)
  assert.equal(read(`0.${zeros}42e500002`), '42')
  const numbers = fc.tuple(fc.bigInt({ min: -(10n ** 19n), max: 10n ** 19n }), fc.nat(25))
  fc.assert(
    fc.property(numbers, ([n, places]) => {
      const digits = String(n < 0n ? -n : n).padStart(places + 1, '0')
      const [whole, fraction] = [
        digits.slice(0, digits.length - places),
        digits.slice(digits.length - places),
      ]
      const text = `${n < 0n ? '-' : ''}${whole}${fraction && `.${fraction}`}e${places}`
      assert.equal(read(text), n >= MIN && n <= MAX ? String(n) : undefined, text)
    }),
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
