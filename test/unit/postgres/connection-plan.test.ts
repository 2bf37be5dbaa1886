import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { ConfigError } from '../../../platform/env.ts'
import { planConnection } from '../../../postgres/connection-plan.ts'

const CERTIFICATE = fileURLToPath(new URL('../../support/tls/certificate.pem', import.meta.url))

/** The servers and how each is tried: `plain`, `unchecked`, `ca` (any name), `checked`. */
function planned(url: string, env: NodeJS.ProcessEnv = {}): string[] {
  return planConnection(url, env).hosts.map(({ name, ways }) => {
    const modes = ways.map(({ ssl }) => {
      if (ssl === false) return 'plain'
      if (typeof ssl !== 'object') return String(ssl)
      if (ssl.rejectUnauthorized === false) return 'unchecked'
      return ssl.checkServerIdentity === undefined ? 'checked' : 'ca'
    })
    return `${name} ${modes.join(', ')}`
  })
}

function mistakeIn(url: string, env: NodeJS.ProcessEnv = {}): string {
  try {
    planConnection(url, env)
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    return error.problems.join()
  }
  return ''
}

test('the hosts are tried in their order, each with its own port', () => {
  assert.deepEqual(planned('postgresql://u:p@one:5432,two:5433,[::1]:5434,four/db'), [
    'one:5432 plain',
    'two:5433 plain',
    '[::1]:5434 plain',
    'four:5432 plain',
  ])
  assert.deepEqual(planned('postgres:///db?host=one,two&port=5433'), ['one:5433 plain', 'two:5433 plain'])
  assert.deepEqual(planned('', { PGHOST: 'one,two', PGPORT: '1,2' }), ['one:1 plain', 'two:2 plain'])
  assert.deepEqual(planned(''), ['localhost:5432 plain'])
})

test('user, password, database and other parameters reach the driver; percent signs are read leniently', () => {
  const { hosts } = planConnection(
    'postgresql://u%40x:p%2F1%@h/d%20b?options=-c%20a%3Db&statement_timeout=5',
    {},
  )
  const { host, port, user, password, database, options, statement_timeout } = hosts[0]?.ways[0] ?? {}
  assert.deepEqual(
    { host, port, user, password, database, options, statement_timeout: String(statement_timeout) },
    {
      host: 'h',
      port: 5432,
      user: 'u@x',
      password: 'p/1%',
      database: 'd b',
      options: '-c a=b',
      statement_timeout: '5',
    },
  )
})

for (const [mode, ways] of [
  ['disable', 'plain'],
  ['allow', 'plain, unchecked'],
  ['prefer', 'unchecked, plain'],
  ['require', 'checked'],
  ['verify-ca', 'checked'],
  ['verify-full', 'checked'],
  ['no-verify', 'unchecked'],
] as const) {
  test(`sslmode=${mode}: ${ways}`, () => {
    assert.deepEqual(planned(`postgresql://h/d?sslmode=${mode}`), [`h:5432 ${ways}`])
    assert.deepEqual(planned('postgresql://h/d', { PGSSLMODE: mode }), [`h:5432 ${ways}`])
  })
}

test('verify-ca accepts any name only with an authority of its own; a Unix socket has no TLS', () => {
  const own = `sslmode=verify-ca&sslrootcert=${CERTIFICATE}`
  assert.deepEqual(planned(`postgresql://h/d?${own}`), ['h:5432 ca'])
  assert.deepEqual(planned('postgresql://h/d?sslmode=verify-ca&sslrootcert=system'), ['h:5432 checked'])
  assert.deepEqual(planned(`postgresql://%2Frun%2Fpg,h/d?${own}`), ['/run/pg:5432 plain', 'h:5432 ca'])
})

test('target_session_attrs asks for a server that accepts writes', () => {
  const asks = (query: string, env = {}): boolean =>
    planConnection(`postgresql://h/d?${query}`, env).mustAcceptWrites
  assert.equal(asks('target_session_attrs=read-write'), true)
  assert.equal(asks('target_session_attrs=primary'), true)
  assert.equal(asks('target_session_attrs=any'), false)
  assert.equal(asks('', { PGTARGETSESSIONATTRS: 'read-write' }), true)
  assert.equal(asks(''), false)
})

for (const [what, url, mistake] of [
  ['no URL', 'secret-nonsense', /^DATABASE_URL must be postgresql:/],
  ['another scheme', 'mysql://u:secret@h/d', /^DATABASE_URL must be postgresql:/],
  ['a port that is no number', 'postgresql://u:secret@h:x/d', /^DATABASE_URL must be postgresql:/],
  ['a port out of range', 'postgresql://u:secret@h:70000/d', /the port 70000, which must be from 1 to 65535/],
  ['ports without hosts', 'postgresql://u:secret@h/d?port=1,2', /1 hosts but 2 ports/],
  [
    'an unknown sslmode',
    'postgresql://u:secret@h/d?sslmode=bogus',
    /sslmode=bogus, which must be one of disable, allow/,
  ],
  [
    'a standby',
    'postgresql://u:secret@h/d?target_session_attrs=standby',
    /must be any, read-write or primary/,
  ],
  [
    'a missing file',
    'postgresql://u:secret@h/d?sslcert=/no/such',
    /sslcert=\/no\/such, a file that cannot be read \(ENOENT\)/,
  ],
  ['an escape that is not UTF-8', 'postgresql://u:secret%FF@h/d', /not UTF-8/],
] as const) {
  test(`${what} is a mistake, told without the password`, () => {
    assert.match(mistakeIn(url), mistake)
    assert.doesNotMatch(mistakeIn(url), /secret/)
  })
}
