import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isAboutTls } from '../../../postgres/connect.ts'

const failures: [what: string, error: unknown, isAboutTls: boolean][] = [
  ['the server has no TLS', new Error('The server does not support SSL connections'), true],
  [
    'the handshake fails',
    Object.assign(new Error('wrong version number'), { code: 'ERR_SSL_WRONG_VERSION_NUMBER' }),
    true,
  ],
  ['the handshake is cut', Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' }), true],
  ['pg_hba.conf excludes TLS', { severity: 'FATAL', code: '28000', message: 'no pg_hba.conf entry' }, true],
  ['a wrong password', { severity: 'FATAL', code: '28P01', message: 'password' }, false],
  ['the server starts', { severity: 'FATAL', code: '57P03', message: 'starting up' }, false],
  ['nothing listens', Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }), false],
  ['no answer', new Error('timeout expired'), false],
]

for (const [what, error, expected] of failures) {
  test(`${what}: ${expected ? 'with TLS instead of without, or the other way round, it may work' : 'TLS makes no difference'}`, () => {
    assert.equal(isAboutTls(error), expected)
  })
}
