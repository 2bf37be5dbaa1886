import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseInet } from '../../../event/inet.ts'
import { parseAddress } from '../../../producer-api/http/ip-address.ts'

/** The sixteen bytes of the address as URLs write it, of which each has one text. */
const same = (text: string): string => new URL(`http://[${text}]`).hostname

for (const [text, bytes] of [
  ['::1.2.3.4', '0'.repeat(24) + '01020304'],
  ['::ffff:1.2.3.4', `${'0'.repeat(20)}ffff01020304`],
  ['64:ff9b::255.0.0.16', '0064ff9b0000000000000000ff000010'],
  ['1:2:3:4:5:6:7.8.9.10', '0001000200030004000500060708090a'],
  ['::', '0'.repeat(32)],
] as const) {
  test(`${text} has the bytes that PostgreSQL gives it`, () => {
    assert.equal(parseInet(text)?.toString('hex'), `03800010${bytes}`)
    assert.equal(parseInet(`${text}/96`)?.toString('hex'), `03600010${bytes}`)
    const read = parseAddress(text)?.toString() ?? ''
    assert.equal(same(read.includes(':') ? read : `::ffff:${read}`), same(text))
  })
}
