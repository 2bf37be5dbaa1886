import assert from 'node:assert/strict'
import { test } from 'node:test'
import { anonymousWriting, isLoopback } from '../../../../producer-api/front-door/anonymous.ts'

const published = {
  host: '127.0.0.1',
  publishedAddress: undefined,
  allowAnonymous: false,
  hasCredentials: false,
}

test('loopback addresses are 127.0.0.0/8, ::1, the same mapped into IPv6, and localhost', () => {
  for (const address of [
    '127.0.0.1',
    '127.8.9.1',
    '::1',
    '[::1]',
    '::ffff:127.0.0.1',
    'localhost',
    'LOCALHOST',
  ])
    assert.ok(isLoopback(address), address)
  for (const address of [
    '0.0.0.0',
    '::',
    '[::]',
    '10.0.0.1',
    '',
    'localhost.example',
    '128.0.0.1',
    'fe80::1',
  ])
    assert.ok(!isLoopback(address), address)
})

test('without credentials, anyone may write on a loopback address only', () => {
  assert.equal(anonymousWriting(published), 'local')
  assert.throws(
    () => anonymousWriting({ ...published, host: '0.0.0.0' }),
    /reaches 0\.0\.0\.0 could write events: set API_KEYS_FILE \("npx firehose keys create" makes the file\), JWT_JWKS_URL or JWT_JWKS_FILE; or set ALLOW_ANONYMOUS=true/,
  )
})

test('the address at which a container is published counts, not where it listens', () => {
  assert.equal(anonymousWriting({ ...published, host: '0.0.0.0', publishedAddress: '127.0.0.1' }), 'local')
  assert.throws(() => anonymousWriting({ ...published, publishedAddress: '0.0.0.0' }), /reaches 0\.0\.0\.0/)
})

test('with credentials nobody is anonymous, unless that is allowed', () => {
  assert.equal(anonymousWriting({ ...published, host: '0.0.0.0', hasCredentials: true }), 'no')
  assert.equal(anonymousWriting({ ...published, hasCredentials: true, allowAnonymous: true }), 'public')
  assert.equal(anonymousWriting({ ...published, host: '0.0.0.0', allowAnonymous: true }), 'public')
})
