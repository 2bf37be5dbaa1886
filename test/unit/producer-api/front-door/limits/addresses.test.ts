import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { test } from 'node:test'
import * as fc from 'fast-check'
import ipaddr from 'ipaddr.js'
import { AddressLimit } from '../../../../../producer-api/front-door/limits/limits.ts'
import { clientAddress, type Proxies } from '../../../../../producer-api/http/client-address.ts'
import { parseNetwork } from '../../../../../producer-api/http/ip-address.ts'

/* Whose requests count together: what the client's address is, and what of it has a bucket. */

const PROXIES: Proxies = { header: 'x-forwarded-for', trusted: [parseNetwork('10.0.0.0/8')!] }
const PROXY = '10.0.0.1'
const CLIENT = '203.0.113.7'

/** A request from an address, with headers: names and values in turn. */
function request(remoteAddress: string | undefined, ...rawHeaders: string[]): IncomingMessage {
  return { socket: { remoteAddress }, rawHeaders } as unknown as IncomingMessage
}

/** Whether each of these requests is admitted, at the same moment and at one request per hour. */
function admitted(proxies: Proxies | undefined, burst: number, requests: IncomingMessage[]): boolean[] {
  const limit = new AddressLimit(1 / 3_600, burst)
  const addressOf = clientAddress(proxies)
  return requests.map((one) => limit.take(addressOf(one), 1) === undefined)
}

test('property: the addresses of one /64 share a bucket', () => {
  const limit = new AddressLimit(1, 1)
  const addressOf = clientAddress(undefined)
  const part = fc.oneof(fc.constant(0), fc.constant(0xffff), fc.integer({ min: 0, max: 0xffff }))
  const parts = fc.tuple(part, part, part, part, part, part, part, part, part, part, part, part)
  let nowMs = 0
  fc.assert(
    fc.property(parts, ([a, b, c, d, ...hosts]) => {
      nowMs += 10_000
      const [first = '', second = ''] = [hosts.slice(0, 4), hosts.slice(4)].map((host) =>
        new ipaddr.IPv6([a, b, c, d, ...host]).toString(),
      )
      // A mapped address is the IPv4 address.
      fc.pre([first, second].every((text) => !text.startsWith('::ffff:')))
      assert.equal(limit.take(addressOf(request(first)), nowMs), undefined, first)
      assert.notEqual(limit.take(addressOf(request(second)), nowMs), undefined, `${first} and ${second}`)
    }),
    { numRuns: 2_000 },
  )
})

test('so do those that the operating system writes with an IPv4 address at their end', () => {
  assert.deepEqual(admitted(undefined, 1, [request('::203.0.113.7'), request('::7')]), [true, false])
})

test('the networks beside it, and all addresses of IPv4, have their own', () => {
  const networks = Array.from({ length: 64 }, (_, bit) => {
    const parts = [0x2001, 0xdb8, 0, 1, 0, 0, 0, 7]
    parts[bit >> 4]! ^= 1 << (bit & 15)
    return new ipaddr.IPv6(parts).toString()
  })
  const hosts = Array.from({ length: 256 }, (_, host) => `203.0.113.${host}`)
  const all = ['2001:db8:0:1::7', ...networks, ...hosts].map((address) => request(address))
  // In one table two of them may share a slot by chance, but not the same ones in four.
  const tables = [1, 2, 3, 4].map(() => admitted(undefined, 1, all))
  assert.deepEqual(
    all
      .filter((_, i) => tables.every((isAdmitted) => isAdmitted[i] === false))
      .map(({ socket }) => socket.remoteAddress),
    [],
  )
})

test('an IPv4-mapped address is the IPv4 address, and all whose address is not known share a bucket', () => {
  const mapped = [request('::ffff:203.0.113.7'), request(CLIENT)]
  assert.deepEqual(admitted(undefined, 1, mapped), [true, false])
  assert.deepEqual(
    admitted(PROXIES, 1, [
      request(`::ffff:${PROXY}`, 'X-Forwarded-For', '::ffff:203.0.113.7'),
      request(PROXY, 'X-Forwarded-For', '[::ffff:cb00:7107]:4711'),
      request(PROXY, 'X-Forwarded-For', CLIENT),
    ]),
    [true, false, false],
  )
  assert.deepEqual(admitted(PROXIES, 2, [request(undefined), request(undefined), request(undefined)]), [
    true,
    true,
    false,
  ])
})

/** What a client could write to seem another one each time: `i` is the number of the request. */
const FORGERIES: Record<string, (i: number) => string[]> = {
  'one header': (i) => ['X-Forwarded-For', `198.51.100.${i}`],
  'a proxy at its end': (i) => ['X-Forwarded-For', `198.51.100.${i}, ${PROXY}`],
  'two headers': (i) => ['X-Forwarded-For', `198.51.100.${i}`, 'x-forwarded-for', `198.51.100.${i + 50}`],
  'other headers': (i) => [
    'X-Real-IP',
    `198.51.100.${i}`,
    'Forwarded',
    `for=198.51.100.${i}`,
    'X-Client-IP',
    `198.51.100.${i}`,
  ],
  'a list of 1,000': (i) => ['X-Forwarded-For', list(i, 1_000, (n) => `198.51.${n >> 8}.${n & 255}`)],
  'a list of 1,000 proxies': (i) => ['X-Forwarded-For', list(i, 1_000, (n) => `10.9.${n >> 8}.${n & 255}`)],
  '1,000 headers': (i) =>
    Array.from({ length: 1_000 }, (_, n) => ['X-Forwarded-For', `10.9.${i}.${n & 255}`]).flat(),
  'what is no address': (i) => ['X-Forwarded-For', `198.51.100.${i}, unknown, _${i}, "`],
}

function list(i: number, length: number, entry: (n: number) => string): string {
  return Array.from({ length }, (_, n) => entry((i * 7 + n) % 1_000)).join(', ')
}

for (const [name, forgery] of Object.entries(FORGERIES)) {
  test(`forged addresses change nothing for the limit: ${name}`, () => {
    const expected = [true, true, true, false, false, false]
    const numbers = [1, 2, 3, 4, 5, 6]
    const direct = numbers.map((i) => request(CLIENT, 'Host', 'a.example', ...forgery(i), 'Accept', '*/*'))
    assert.deepEqual(admitted(undefined, 3, direct), expected, 'without proxies')
    assert.deepEqual(admitted(PROXIES, 3, direct), expected, 'past the proxy')
    const appended = numbers.map((i) => request(PROXY, ...appendedTo(forgery(i))))
    assert.deepEqual(
      admitted(PROXIES, 3, appended),
      expected,
      'through a proxy that appends to the last header',
    )
    const added = numbers.map((i) => request(PROXY, ...forgery(i), 'X-Forwarded-For', CLIENT))
    assert.deepEqual(admitted(PROXIES, 3, added), expected, 'through a proxy that adds a header')
  })
}

/** The headers as a proxy passes them on: its client's address at the end of the last list, or in a list of its own. */
function appendedTo(headers: string[]): string[] {
  const last = headers.findLastIndex((text, i) => i % 2 === 0 && text.toLowerCase() === 'x-forwarded-for')
  if (last < 0) return [...headers, 'X-Forwarded-For', CLIENT]
  return headers.with(last + 1, `${headers[last + 1]}, ${CLIENT}`)
}

test('clients behind one proxy have buckets of their own', () => {
  const behind = (client: string): IncomingMessage => request(PROXY, 'X-Forwarded-For', client)
  const requests = [CLIENT, '203.0.113.8', CLIENT, '203.0.113.8', '2001:db8::1', '2001:db8::2'].map(behind)
  assert.deepEqual(admitted(PROXIES, 1, requests), [true, true, false, false, true, false])
})
