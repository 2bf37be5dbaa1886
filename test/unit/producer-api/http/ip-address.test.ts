import assert from 'node:assert/strict'
import { isIP } from 'node:net'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  isWithin,
  networkText,
  parseAddress,
  parseNetwork,
} from '../../../../producer-api/http/ip-address.ts'
import { addressText, ipv4Text, ipv6Text } from '../../../arbitrary/address-text.ts'

/** The address as URLs write it, in which only mapped addresses differ from ours. */
function urlText(text: string): string {
  if (isIP(text) === 4) return text
  const host = new URL(`http://[${text}]`).hostname.slice(1, -1)
  const [, high = '', low = ''] = /^::ffff:([0-9a-f]+):([0-9a-f]+)$/.exec(host) ?? []
  if (high === '') return host
  const value = Number.parseInt(high, 16) * 0x1_0000 + Number.parseInt(low, 16)
  return [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff).join('.')
}

/** As binary digits: a definition of networks that shares nothing with the library. */
function bits(canonical: string): string {
  const parts = canonical.includes('.') ? canonical.split('.') : groups(canonical)
  const [radix, width] = canonical.includes('.') ? [10, 8] : [16, 16]
  return parts.map((part) => Number.parseInt(part, radix).toString(2).padStart(width, '0')).join('')
}
function groups(canonical: string): string[] {
  const [left = '', right = ''] = canonical.split('::')
  const [head, tail] = [left.split(':').filter(Boolean), right.split(':').filter(Boolean)]
  return [...head, ...Array.from({ length: 8 - head.length - tail.length }, () => '0'), ...tail]
}

test('every form of an address is read, and has one text, as in URLs', () => {
  fc.assert(
    fc.property(addressText, fc.constantFrom('', '%eth0', '%1'), (text, zone) => {
      const isIpv6 = text.includes(':')
      const read = parseAddress(isIpv6 ? text + zone : text)
      assert.equal(read?.toString(), urlText(text))
    }),
    { numRuns: 3_000 },
  )
})

test('what is no address is none', () => {
  const texts =
    '| |unknown|_hidden|localhost|1|1.2.3|1.2.3.4.5|256.1.1.1|01.2.3.4|0x7f.0.0.1|1.2.3.4 |1.2.3.4%eth0|1.2.3.4/8' +
    '|:|:::|1::2::3|12345::|::1.2.3|[::1]|1:2|1:2:3:4:5:6:7:8:9|1:2:3:4:5:6:7:8::|::g|::1%'
  for (const text of texts.split('|')) {
    assert.equal(parseAddress(text), undefined, text)
  }
  fc.assert(
    fc.property(fc.stringMatching(/^[0-9a-f:.%[\]]{0,24}$/), (text) => {
      assert.equal(parseAddress(text) !== undefined, isIP(text) !== 0)
    }),
    { numRuns: 3_000 },
  )
})

test('an address is within a network if their first bits are the same', () => {
  fc.assert(
    fc.property(fc.oneof(ipv4Text, ipv6Text), fc.nat(128), fc.nat(127), (text, prefix, flipped) => {
      const most = text.includes('.') ? 32 : 128
      const base = parseAddress(text)!
      fc.pre(base.kind() === (most === 32 ? 'ipv4' : 'ipv6'))
      const length = prefix % (most + 1)
      const network = parseNetwork(`${text}/${length}`)!
      const digits = bits(base.toString())
      const at = flipped % most
      const other = digits.slice(0, at) + (digits[at] === '0' ? '1' : '0') + digits.slice(at + 1)
      const width = most === 32 ? 8 : 16
      const parts = other.match(new RegExp(`.{${width}}`, 'g'))!.map((part) => Number.parseInt(part, 2))
      const neighbour = most === 32 ? parts.join('.') : parts.map((part) => part.toString(16)).join(':')
      assert.equal(isWithin([network], base), true)
      // A flipped bit may turn an IPv6 address into a mapped one, which is in no network of IPv6.
      const expected = at >= length && parseAddress(neighbour)!.kind() === base.kind()
      assert.equal(isWithin([network], parseAddress(neighbour)!), expected)
    }),
    { numRuns: 2_000 },
  )
})

test('a network is an address with or without a prefix length; a mapped one is of IPv4', () => {
  const holds = (network: string, address: string): boolean =>
    isWithin([parseNetwork(network)!], parseAddress(address)!)
  assert.ok(holds('10.1.2.3', '10.1.2.3') && !holds('10.1.2.3', '10.1.2.4'))
  assert.ok(holds('10.1.2.3/8', '10.255.0.1') && !holds('10.1.2.3/8', '11.1.2.3'))
  assert.ok(holds('0.0.0.0/0', '1.2.3.4') && !holds('0.0.0.0/0', '::1'))
  assert.ok(holds('::/0', '::1') && !holds('::/0', '1.2.3.4'))
  assert.ok(holds('fc00::/7', 'fd12::1') && !holds('fc00::/7', 'fe80::1'))
  assert.ok(holds('::ffff:10.0.0.0/104', '10.9.9.9') && !holds('::ffff:10.0.0.0/104', '11.0.0.1'))
  const texts =
    '|/8|10.0.0.0/|10.0.0.0/33|10.0.0.0/-1|10.0.0.0/8/8|10.0.0.0/a|10.0.0/8|10.0.0.0/255.0.0.0|10.0.0.1-10.0.0.9' +
    '|10.0.0.*|::1/129|::ffff:10.0.0.0/8|private|example.com'
  for (const text of texts.split('|')) {
    assert.equal(parseNetwork(text), undefined, text)
  }
})

test('a truncated address is its /24 or /48', () => {
  const truncated = (text: string): string => networkText(parseAddress(text)!)
  assert.equal(truncated('203.0.113.77'), '203.0.113.0/24')
  assert.equal(truncated('::ffff:203.0.113.77'), '203.0.113.0/24')
  assert.equal(truncated('2001:db8:1:2:3::77'), '2001:db8:1::/48')
  assert.equal(truncated('::1'), '::/48')
  fc.assert(
    fc.property(addressText, (text) => {
      const address = parseAddress(text)!
      const [base = '', length] = truncated(text).split('/')
      const kept = Number(length)
      const digits = bits(address.toString())
      assert.equal(bits(base), digits.slice(0, kept).padEnd(digits.length, '0'))
    }),
  )
})
