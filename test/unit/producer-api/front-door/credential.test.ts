import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { test } from 'node:test'
import { credentialOf } from '../../../../producer-api/front-door/credential.ts'

const of = (headers: Record<string, string>, url = '/event') =>
  credentialOf({ headers, rawHeaders: Object.entries(headers).flat(), url } as unknown as IncomingMessage)
const one = (text: string, inQuery = false) => ({ kind: 'one', text, inQuery })

test('a credential is sent as Authorization: Bearer, as X-API-Key or as ?key=', () => {
  assert.deepEqual(of({}), { kind: 'none' })
  assert.deepEqual(of({}, '/event?page=1'), { kind: 'none' })
  assert.deepEqual(of({ authorization: 'Bearer abc' }), one('abc'))
  assert.deepEqual(of({ authorization: 'bearer   abc' }), one('abc'))
  assert.deepEqual(of({ 'x-api-key': 'abc' }), one('abc'))
  assert.deepEqual(of({}, '/event?key=abc'), one('abc', true))
  assert.deepEqual(of({}, '/event?a=1&key=a%62c&b=2'), one('abc', true))
  assert.deepEqual(of({}, '/event?key='), one('', true))
})

test('several credentials are not usable, wherever they are', () => {
  const all = { authorization: 'Bearer a', 'x-api-key': 'a' }
  assert.equal(of(all).kind, 'unusable')
  assert.equal(of({ 'x-api-key': 'a' }, '/event?key=a').kind, 'unusable')
  assert.equal(of({ authorization: 'Bearer a' }, '/event?key=a').kind, 'unusable')
  assert.equal(of({}, '/event?key=a&key=a').kind, 'unusable')
})

test('two Authorization headers are several credentials, although Node keeps only the first', () => {
  const rawHeaders = ['Host', 'x', 'Authorization', 'Bearer a', 'AUTHORIZATION', 'Bearer b']
  const headers = { host: 'x', authorization: 'Bearer a' }
  const request = { headers, rawHeaders, url: '/event' } as unknown as IncomingMessage
  assert.equal(credentialOf(request).kind, 'unusable')
})

test('schemes other than Bearer are not taken', () => {
  for (const authorization of ['Basic YTpi', 'Bearer', 'abc', '', 'Bearerabc', 'Digest a="b"'])
    assert.equal(of({ authorization }).kind, 'unusable', authorization)
})
