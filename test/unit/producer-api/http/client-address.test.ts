import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { addressBehind, clientAddress, type Proxies } from '../../../../producer-api/http/client-address.ts'
import { parseAddress, parseNetwork } from '../../../../producer-api/http/ip-address.ts'

const PROXIES: Proxies = {
  header: 'x-forwarded-for',
  trusted: ['10.0.0.0/8', '127.0.0.1', 'fd00::/8'].map((text) => parseNetwork(text)!),
}
const NAME = 'X-Forwarded-For'

/** The client's address, if these are the values of the header in a request from `peer`. */
function behind(peer: string | undefined, ...values: string[]): string | undefined {
  const others = ['Host', 'a.example', 'X-Real-IP', '6.6.6.6']
  return addressBehind(PROXIES, peer, [
    ...others,
    ...values.flatMap((value) => [NAME, value]),
    'Accept',
    '*/*',
  ])
}

test('the first address from the right that is no trusted proxy is the client', () => {
  const table: [string, string[], string][] = [
    ['10.0.0.1', ['203.0.113.7'], '203.0.113.7'],
    ['10.0.0.1', ['203.0.113.7, 10.0.0.2,10.0.0.3'], '203.0.113.7'],
    ['10.0.0.1', ['6.6.6.6, 203.0.113.7, 10.0.0.2'], '203.0.113.7'],
    // All are trusted: the first proxy of the row sent it.
    ['10.0.0.1', ['10.0.0.3, 10.0.0.2'], '10.0.0.3'],
    ['10.0.0.1', [], '10.0.0.1'],
    // A header from elsewhere means nothing.
    ['203.0.113.7', ['6.6.6.6'], '203.0.113.7'],
    ['203.0.113.7', ['10.0.0.1'], '203.0.113.7'],
    // A repeated header is one list.
    ['10.0.0.1', ['6.6.6.6', '203.0.113.7', '10.0.0.2'], '203.0.113.7'],
    ['10.0.0.1', ['6.6.6.6, 203.0.113.7', '10.0.0.3, 10.0.0.2'], '203.0.113.7'],
  ]
  for (const [peer, values, client] of table)
    assert.equal(behind(peer, ...values), client, values.join(' | '))
})

test('entries may have ports, brackets, zones and white space; IPv4-mapped addresses are IPv4', () => {
  for (const [entry, client] of [
    ['203.0.113.7:5678', '203.0.113.7'],
    ['  203.0.113.7\t', '203.0.113.7'],
    ['2001:DB8:0::7', '2001:db8::7'],
    ['[2001:db8::7]', '2001:db8::7'],
    ['[2001:db8::7]:443', '2001:db8::7'],
    ['fe80::7%eth0', 'fe80::7'],
    ['[fe80::7%eth0]:443', 'fe80::7'],
    ['::ffff:203.0.113.7', '203.0.113.7'],
    ['[::ffff:203.0.113.7]:80', '203.0.113.7'],
    ['203.0.113.7,', '203.0.113.7'],
    [',203.0.113.7 , ,', '203.0.113.7'],
  ] as const) {
    assert.equal(behind('::ffff:10.0.0.1', `6.6.6.6, ${entry}`), client, entry)
  }
})

test('what is no address ends the walk at the last address reached', () => {
  const texts =
    'unknown|_hidden|"203.0.113.7"|for=203.0.113.7|203.0.113.7 203.0.113.8|203.0.113.7:|203.0.113.7:port|:80' +
    '|203.0.113.7:123456|[203.0.113.7|203.0.113|256.0.0.1|::1::|[]|a:b:c|203.0.113.7\u0000'
  for (const entry of [...texts.split('|'), `[${'1'.repeat(20_000)}]`]) {
    assert.equal(behind('10.0.0.1', `6.6.6.6, ${entry}, 10.0.0.2`), '10.0.0.2', entry)
    assert.equal(behind('10.0.0.1', `6.6.6.6, ${entry}`), '10.0.0.1', entry)
  }
})

test('the walk equals a definition that splits the whole header first', () => {
  const proxy = fc.constantFrom(
    '10.0.0.2',
    '10.9.9.9:80',
    '127.0.0.1',
    '[fd00::1]:443',
    'fd00::2',
    '::ffff:10.1.1.1',
  )
  const stranger = fc.constantFrom(
    '203.0.113.7',
    '203.0.113.8:80',
    '2001:db8::1',
    '[2001:db8::2]:1',
    '127.0.0.2',
  )
  const entry = fc.oneof(
    { weight: 6, arbitrary: proxy },
    { weight: 2, arbitrary: stranger },
    fc.constantFrom('', 'unknown', '10.0.0', '::ffff:10.0.0.300'),
  )
  const padded = fc.tuple(fc.constantFrom('', ' ', '\t '), entry).map(([space, text]) => space + text + space)
  const values = fc.array(fc.array(padded, { maxLength: 8 }), { maxLength: 4 })
  const peer = fc.constantFrom('10.0.0.1', '::ffff:10.0.0.1', 'fd00::9', '203.0.113.1', '2001:db8::9')
  fc.assert(
    fc.property(peer, values, (from, lists) => {
      const bare = (text: string): string | undefined => {
        const withoutPort = text.replace(/^\[(.*)\](:\d+)?$/, '$1').replace(/^([\d.]+):\d+$/, '$1')
        return parseAddress(withoutPort)?.toString()
      }
      const chain = [
        ...lists
          .flat()
          .map((text) => text.trim())
          .filter((text) => text !== ''),
        from,
      ].map(bare)
      const isTrusted = (text: string): boolean => /^(10\.|127\.0\.0\.1$|fd)/.test(text)
      // How many at the right end are trusted proxies; the client is the one before them, if it is an address.
      const firstOther = chain.findLastIndex((text) => text === undefined || !isTrusted(text))
      const expected = chain[firstOther] ?? chain[firstOther + 1]
      assert.equal(behind(from, ...lists.map((list) => list.join(','))), expected)
    }),
    { numRuns: 3_000 },
  )
})

test('at most 32 entries are read, whatever the header holds', () => {
  const row = (proxies: number): string =>
    `203.0.113.7,${Array.from({ length: proxies }, () => '10.0.0.2').join()}`
  assert.equal(behind('10.0.0.1', row(31)), '203.0.113.7')
  assert.equal(behind('10.0.0.1', row(32)), '10.0.0.2')
  assert.equal(behind('10.0.0.1', `203.0.113.7${','.repeat(31)}`), '203.0.113.7')
  assert.equal(behind('10.0.0.1', `203.0.113.7${','.repeat(32)}`), '10.0.0.1')
  assert.equal(behind('10.0.0.1', '203.0.113.7', ...Array.from({ length: 40 }, () => '')), '10.0.0.1')
})

test('without proxies, the address is that of the connection', () => {
  const addressOf = clientAddress(undefined)
  const from = (remoteAddress: string | undefined): string | undefined =>
    addressOf({ socket: { remoteAddress }, rawHeaders: [NAME, '6.6.6.6'] } as unknown as IncomingMessage)
  assert.equal(from('203.0.113.7'), '203.0.113.7')
  assert.equal(from('::ffff:203.0.113.7'), '203.0.113.7')
  assert.equal(from('2001:db8::7'), '2001:db8::7')
  assert.equal(from('fe80::7%eth0'), 'fe80::7')
  assert.equal(from(undefined), undefined)
  assert.equal(behind(undefined, '203.0.113.7'), undefined)
})
