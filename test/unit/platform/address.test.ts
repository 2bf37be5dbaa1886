import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isHttpAddress } from '../../../platform/address.ts'

test('an address of an HTTP server has a scheme, a host, a port that can exist, and no user', () => {
  for (const good of ['http://127.0.0.1:8000', 'https://api.example.com/base', 'http://[::1]:8000'])
    assert.equal(isHttpAddress(good), true, good)
  for (const bad of ['127.0.0.1:8000', 'ftp://host', 'http://', 'http://host:99999', 'http://host:0'])
    assert.equal(isHttpAddress(bad), false, bad)
  assert.equal(isHttpAddress('http://user:password@host'), false)
})
