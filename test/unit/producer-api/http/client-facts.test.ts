import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { type ClientCapture, clientFacts, userAgentText } from '../../../../producer-api/http/client-facts.ts'

const request = (remoteAddress: string | undefined, userAgent?: string): IncomingMessage =>
  ({
    socket: { remoteAddress },
    rawHeaders: [],
    headers: { 'user-agent': userAgent },
  }) as unknown as IncomingMessage

test('only what is asked for is read', () => {
  const facts = (address: ClientCapture['address'], userAgent: boolean, from = '203.0.113.7') =>
    clientFacts({ address, userAgent, proxies: undefined })?.(request(from, 'curl/8'))
  assert.equal(facts('none', false), undefined)
  assert.deepEqual(facts('none', true), { ipAddress: undefined, userAgent: 'curl/8' })
  assert.deepEqual(facts('whole', false), { ipAddress: '203.0.113.7', userAgent: undefined })
  assert.deepEqual(facts('network', true), { ipAddress: '203.0.113.0/24', userAgent: 'curl/8' })
  assert.equal(facts('network', false, '2001:db8:1:2::7')?.ipAddress, '2001:db8:1::/48')
})

test('what is not known is absent', () => {
  const read = clientFacts({ address: 'network', userAgent: true, proxies: undefined })!
  for (const agent of [undefined, '']) {
    assert.deepEqual(read(request(undefined, agent)), { ipAddress: undefined, userAgent: undefined })
  }
})

/** A header's value as Node gives it. */
const received = (bytes: Buffer): string => bytes.toString('latin1')

test('a User-Agent is read as UTF-8 if its bytes are that, else as Latin-1', () => {
  assert.equal(userAgentText(received(Buffer.from('Übersicht/1 ✓ 😀'))), 'Übersicht/1 ✓ 😀')
  assert.equal(userAgentText(received(Buffer.from('Übersicht/1', 'latin1'))), 'Übersicht/1')
  // A surrogate in the bytes of UTF-8 is not UTF-8.
  assert.equal(userAgentText(received(Buffer.from([0xed, 0xa0, 0x80]))), 'í\u00a0\u0080')
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 600 }), (text) => {
      fc.pre(text !== '' && text.isWellFormed())
      assert.equal(userAgentText(received(Buffer.from(text))), Array.from(text).slice(0, 1_000).join(''))
    }),
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      assert.ok(userAgentText(received(Buffer.from(bytes)))?.isWellFormed() ?? bytes.length === 0)
    }),
  )
})

test('a longer User-Agent is cut to 1,000 characters, never within one', () => {
  for (const character of ['a', 'é', '✓', '😀']) {
    for (const [count, before] of [
      [999, ''],
      [1_000, ''],
      [1_001, ''],
      [2_500, ''],
      [2_500, 'x'],
    ] as const) {
      const text = before + character.repeat(count)
      const stored = userAgentText(received(Buffer.from(text)))
      assert.equal(stored, Array.from(text).slice(0, 1_000).join(''))
      assert.ok(stored?.isWellFormed())
    }
  }
})
