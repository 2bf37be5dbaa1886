import assert from 'node:assert/strict'
import { test } from 'node:test'
import { psqlTarget } from '../../../../tools/sql/psql.ts'

const ENV = { PGAPPNAME: 'firehose-sql', PGCONNECT_TIMEOUT: '5' }

for (const [url, uri, password] of [
  ['postgresql://u:p%2Fw@h:1/d', 'postgresql://u@h:1/d', 'p/w'],
  ['postgresql://u@h/d', 'postgresql://u@h/d', undefined],
  ['postgresql://h:1/d?x=a%20b', 'postgresql://h:1/d?x=a%20b', undefined],
  ['postgresql://:p@h/d', 'postgresql://h/d', 'p'],
  ['postgresql://u@h/d?password=p%20w&port=2', 'postgresql://u@h/d?port=2', 'p w'],
  [
    'postgresql://u:p@a:1,b:2/d?target_session_attrs=read-write',
    'postgresql://u@a:1,b:2/d?target_session_attrs=read-write',
    'p',
  ],
  ['postgresql://u:p@[::1]:1/d', 'postgresql://u@[::1]:1/d', 'p'],
] as const) {
  test(`psql gets the password of ${url} apart from the command line`, () => {
    const expected = { uri, env: { ...ENV, ...(password === undefined ? {} : { PGPASSWORD: password }) } }
    assert.deepEqual(psqlTarget(url, {}), expected)
  })
}

test('psql checks the certificate whenever the driver does', () => {
  const query = (mode: string, env: NodeJS.ProcessEnv = {}): string =>
    psqlTarget(`postgresql://h/d${mode}`, env).uri.split('?')[1] ?? ''
  const checked = 'sslmode=verify-full&sslrootcert=system'
  for (const mode of ['require', 'verify-ca', 'verify-full']) {
    assert.equal(query(`?sslmode=${mode}`), checked)
    assert.equal(query('', { PGSSLMODE: mode }), checked)
  }
  assert.equal(query('?sslmode=require&sslrootcert=/ca.pem'), 'sslmode=verify-full&sslrootcert=%2Fca.pem')
  assert.equal(query('?sslmode=no-verify'), 'sslmode=require')
  assert.equal(query('?sslmode=disable'), 'sslmode=disable')
})
