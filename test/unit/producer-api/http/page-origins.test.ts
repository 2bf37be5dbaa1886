import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KeyRing } from '../../../../access/key-ring.ts'
import { corsHeaders } from '../../../../producer-api/http/cors.ts'
import { pageOrigins } from '../../../../producer-api/http/page-origins.ts'
import { makeKey } from '../../../support/key-files.ts'

const value = (headers: readonly string[], name: string): string | undefined => {
  const at = headers.indexOf(name)
  return at < 0 ? undefined : headers[at + 1]
}

test('an origin that is listed itself is allowed with credentials, one that a wildcard covers without', () => {
  const headersFor = corsHeaders(pageOrigins(['https://a.example', 'https://*.b.example']))
  const exact = headersFor('https://a.example')
  assert.equal(value(exact, 'Access-Control-Allow-Origin'), 'https://a.example')
  assert.equal(value(exact, 'Access-Control-Allow-Credentials'), 'true')
  const wild = headersFor('https://x.b.example')
  assert.equal(value(wild, 'Access-Control-Allow-Origin'), 'https://x.b.example')
  assert.equal(value(wild, 'Access-Control-Allow-Credentials'), undefined)
  assert.deepEqual(headersFor('https://c.example'), ['Vary', 'Origin'])
  const any = corsHeaders(pageOrigins('*'))('https://c.example')
  assert.equal(value(any, 'Access-Control-Allow-Origin'), '*')
  assert.equal(value(any, 'Access-Control-Allow-Credentials'), undefined)
  assert.deepEqual(corsHeaders(pageOrigins([]))('https://c.example'), [])
})

test('the origins of browser keys are allowed as long as the keys live and are in the file', (t) => {
  t.mock.timers.enable({ apis: ['Date'], now: 1_000_000 })
  const lasting = makeKey('a', 'browser', { origins: ['https://a.example'] })
  const ending = makeKey('b', 'browser', { origins: ['https://b.example'] }, 1_060_000)
  let ring = new KeyRing({ keys: [lasting.key, ending.key] })
  const origins = pageOrigins(['https://c.example'], () => ring)
  assert.equal(origins.isOn, true)
  for (const origin of ['https://a.example', 'https://b.example', 'https://c.example'])
    assert.equal(origins.match(origin), 'exact', origin)
  t.mock.timers.setTime(1_060_000)
  assert.equal(origins.match('https://b.example'), undefined)
  assert.equal(origins.match('https://a.example'), 'exact')
  ring = new KeyRing({ keys: [] })
  assert.equal(origins.match('https://a.example'), undefined)
  assert.equal(origins.match('https://c.example'), 'exact')
})

test('with *, pages of browser keys may still send credentials, as their beacons always do', () => {
  const key = makeKey('a', 'browser', { origins: ['https://a.example', 'https://*.b.example'] })
  const ring = new KeyRing({ keys: [key.key] })
  const headersFor = corsHeaders(pageOrigins('*', () => ring))
  const allowed = (origin?: string): (string | undefined)[] =>
    ['Vary', 'Access-Control-Allow-Origin', 'Access-Control-Allow-Credentials'].map((name) =>
      value(headersFor(origin), name),
    )
  assert.deepEqual(allowed('https://a.example'), ['Origin', 'https://a.example', 'true'])
  for (const origin of ['https://x.b.example', 'https://c.example', undefined])
    assert.deepEqual(allowed(origin), ['Origin', '*', undefined])
})
