import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type CorsOrigins, corsHeaders } from '../../../../producer-api/http/cors.ts'
import { pageOrigins } from '../../../../producer-api/http/page-origins.ts'

test('headers name the origin of the request, and nothing for others', () => {
  const names = (origins: CorsOrigins, origin: string | undefined): string[] =>
    corsHeaders(pageOrigins(origins))(origin).filter((_, i) => i % 2 === 0)
  assert.deepEqual(names([], 'https://a.example'), [])
  assert.deepEqual(names(['https://a.example'], undefined), ['Vary'])
  assert.deepEqual(names(['https://a.example'], 'https://b.example'), ['Vary'])
  assert.ok(names('*', undefined).includes('Access-Control-Allow-Origin'))
  const of = corsHeaders(pageOrigins(['https://*.a.example']))('https://x.a.example')
  assert.equal(of[of.indexOf('Access-Control-Allow-Origin') + 1], 'https://x.a.example')
})
