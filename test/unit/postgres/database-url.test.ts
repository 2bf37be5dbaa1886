import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError } from '../../../platform/env.ts'
import { planConnection } from '../../../postgres/connection-plan.ts'
import { databaseTarget } from '../../../postgres/database-url.ts'

/** What is given to the driver. */
function driverOf(env: NodeJS.ProcessEnv) {
  return planConnection(databaseTarget(env).url, env).hosts[0]?.ways[0] ?? {}
}

test('the database is that of npm start, and each variable replaces only its own part', () => {
  const usual = {
    host: '127.0.0.1',
    port: 15_432,
    user: 'firehose',
    password: 'firehose',
    database: 'firehose',
  }
  for (const [env, changed, source] of [
    [{}, {}, 'the default'],
    [{ PGUSER: 'me' }, { user: 'me' }, 'PGUSER'],
    [{ PGDATABASE: 'mine' }, { database: 'mine' }, 'PGDATABASE'],
    [{ PGPASSWORD: 'a/b@c%' }, { password: 'a/b@c%' }, 'PGPASSWORD'],
    [{ PGPORT: '5433', PG_PORT: '15900' }, { port: 5433 }, 'PGPORT'],
    [{ PG_PORT: '15900' }, { port: 15_900 }, 'PG_PORT'],
    [{ POSTGRES_PASSWORD: 'x' }, { password: 'x' }, 'POSTGRES_PASSWORD'],
    [{ POSTGRES_PASSWORD: 'x', PGPASSWORD: 'y' }, { password: 'y' }, 'PGPASSWORD'],
    [{ PG_PORT: 'tcp://10.0.0.9:5432' }, {}, 'the default'],
  ] as const) {
    const expected = { ...usual, ...changed }
    const { host, port, user, password, database } = driverOf(env)
    assert.deepEqual({ host, port, user, password, database }, expected)
    const address = `${expected.host}:${expected.port}/${expected.database} (${source})`
    assert.equal(databaseTarget(env).address, address)
  }
})

test('PGHOST names another server, of which libpq knows the rest', () => {
  const env = { PG_PORT: '15900', POSTGRES_PASSWORD: 'x', PGHOST: 'db' }
  const { host, port, user, password } = driverOf(env)
  assert.deepEqual([host, port, user, password], ['db', 5432, undefined, undefined])
  assert.equal(databaseTarget(env).address, 'db:5432 (PGHOST)')
  const several = { ...env, PGHOST: 'one,two', PGPORT: '1,2', PGDATABASE: 'd' }
  assert.equal(databaseTarget(several).address, 'one:1, two:2/d (PGHOST, PGPORT, PGDATABASE)')
})

test('DATABASE_URL replaces all of them, and messages name it without its password', () => {
  const env = { DATABASE_URL: 'postgres://u:hidden@h/d', PGUSER: 'other', PG_PORT: 'x' }
  assert.equal(driverOf(env).user, 'u')
  assert.equal(databaseTarget(env).address, 'h:5432/d (DATABASE_URL)')
  const query = { DATABASE_URL: 'postgres:///d?host=/run&port=2&password=hidden' }
  assert.equal(databaseTarget(query).address, '/run:2/d (DATABASE_URL)')
})

for (const [env, problem] of [
  [{ PG_PORT: 'abc' }, 'PG_PORT must be a whole number from 1 to 65535, not "abc"'],
  [{ PGPORT: '0' }, 'PGPORT must be a whole number from 1 to 65535, not "0"'],
  [{ DATABASE_URL: 'hidden' }, 'DATABASE_URL must be postgresql://user:password@host:port/database'],
  [
    { DATABASE_URL: 'postgres://h/d?port=99999' },
    'DATABASE_URL (or PG*) has the port 99999, which must be from 1 to 65535',
  ],
  [
    { DATABASE_URL: 'hidden', DATABASE_SCHEMA: '1' },
    'DATABASE_SCHEMA must be letters, digits and underscores, at most 63, and begin with neither a digit nor pg_, not "1"\nDATABASE_URL must be postgresql://user:password@host:port/database',
  ],
] as const) {
  test(`refused: ${JSON.stringify(env)}`, () => {
    assert.throws(
      () => databaseTarget(env),
      (error) => error instanceof ConfigError && error.problems.join('\n') === problem,
    )
  })
}

test('DATABASE_SCHEMA sets the search_path, and keeps other options', () => {
  const DATABASE_SCHEMA = 'analytics'
  const optionsOf = (env: NodeJS.ProcessEnv): string | undefined => driverOf(env).options
  assert.equal(optionsOf({ DATABASE_URL: 'postgresql://h/d', DATABASE_SCHEMA }), '-c search_path="analytics"')
  assert.equal(
    optionsOf({ DATABASE_URL: 'postgresql://h/d?options=-c%20jit%3Doff&sslmode=disable', DATABASE_SCHEMA }),
    '-c jit=off -c search_path="analytics"',
  )
  assert.equal(
    optionsOf({ PGHOST: 'h', PGOPTIONS: '-c jit=off', DATABASE_SCHEMA }),
    '-c jit=off -c search_path="analytics"',
  )
  assert.equal(optionsOf({ DATABASE_URL: 'postgresql://h/d' }), undefined)
})

test('DATABASE_SCHEMA must be a name that needs no quotes', () => {
  for (const DATABASE_SCHEMA of ['a b', 'a"b', '1a', 'pg_x', 'a;b', 'x'.repeat(64)])
    assert.throws(
      () => databaseTarget({ DATABASE_SCHEMA }),
      (error) => {
        return error instanceof ConfigError && error.message.startsWith('DATABASE_SCHEMA must be letters')
      },
    )
})
