import assert from 'node:assert/strict'
import { test } from 'node:test'
import { numericHolds } from '../../../../event/json/numeric-range.ts'

const nines = (n: number): string => '9'.repeat(n)

function holds(token: string): boolean {
  const buf = Buffer.from(`[${token}]`)
  return numericHolds(buf, 1, buf.length - 1)
}

test('the limits of numeric are those of PostgreSQL (test/integration/jsonb-oracle.test.ts)', () => {
  const inside = [
    '0',
    '-1',
    '1e131071',
    '9.99e131071',
    '0.1e131072',
    '-1e131071',
    '1e-16383',
    '100e-16383',
    '0e-16383',
  ]
    .concat(['0e131072', '0e1073741823', '0.00e1073741823', '1e+0000131071', '10e131070', '1E-000016383'])
    .concat([
      nines(131_072),
      `0.${nines(16_383)}`,
      `${nines(131_072)}.${nines(16_383)}`,
      `0.${nines(16_384)}e1`,
    ])
  const outside = ['1e131072', '0.1e131073', '10e131071', '1e-16384', '10e-16384', '0e-16384', '1.0e-16383']
    .concat(['1e1073741823', '0e1073741824', '0e-1073741823', '1e99999999999999999999', '-1e131072'])
    .concat([nines(131_073), `0.${nines(16_384)}`, `0.${'0'.repeat(16_384)}`, `1.${nines(16_384)}`])
  for (const token of inside) assert.ok(holds(token), token.slice(0, 40))
  for (const token of outside) assert.ok(!holds(token), token.slice(0, 40))
})
