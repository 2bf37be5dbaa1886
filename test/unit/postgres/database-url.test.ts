import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError } from '../../../platform/env.ts'
import { planConnection } from '../../../postgres/connection-plan.ts'
import { databaseUrl } from '../../../postgres/database-url.ts'

const optionsOf = (env: NodeJS.ProcessEnv): string | undefined =>
  planConnection(databaseUrl(env), env).hosts[0]?.ways[0]?.options

test('DATABASE_SCHEMA sets the search_path, and keeps other options', () => {
  const DATABASE_SCHEMA = 'analytics'
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
      () => databaseUrl({ DATABASE_SCHEMA }),
      (error) => {
        return error instanceof ConfigError && error.message.startsWith('DATABASE_SCHEMA must be letters')
      },
    )
})
