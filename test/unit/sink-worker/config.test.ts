import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ConfigError } from '../../../platform/env.ts'
import { readSinkConfig } from '../../../sink-worker/config.ts'

function problems(env: NodeJS.ProcessEnv): string[] {
  try {
    readSinkConfig(env)
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    return error.problems
  }
  return []
}

test('all mistakes are reported together, without secrets', () => {
  const found = problems({
    KAFKA_BOOTSTRAP_SERVERS: 'nowhere',
    DATABASE_URL: 'secret-nonsense',
    SINK_PORT: '99999',
    FETCH_MIN_BYTES: '1000000',
    FETCH_MAX_BYTES: '100000',
  })
  assert.deepEqual(
    found.map((problem) => problem.split(' ')[0]),
    ['SINK_PORT', 'FETCH_MIN_BYTES', 'KAFKA_BOOTSTRAP_SERVERS', 'DATABASE_URL'],
  )
  assert.doesNotMatch(found.join(), /secret/)
})

test('incomplete security settings are a mistake, not an unencrypted connection', () => {
  assert.match(
    problems({ KAFKA_SASL_USERNAME: 'u', KAFKA_SASL_PASSWORD: 'p' }).join(),
    /need KAFKA_SASL_MECHANISM/,
  )
  assert.match(problems({ KAFKA_SSL_CA_FILE: '/x' }).join(), /needs KAFKA_SSL=true/)
  assert.match(problems({ DATABASE_URL: 'postgresql://h/d?sslmode=bogus' }).join(), /sslmode=bogus/)
})

test('the database is DATABASE_URL, else PG*, else that of npm start', () => {
  const url = (env: NodeJS.ProcessEnv): string | undefined => readSinkConfig(env).database.connectionString
  assert.equal(url({ DATABASE_URL: 'postgres://h/d', PGHOST: 'other' }), 'postgres://h/d')
  assert.equal(url({ PGDATABASE: 'mine' }), '')
  assert.equal(url({}), 'postgresql://firehose:firehose@127.0.0.1:15432/firehose')
  assert.equal(url({ PG_PORT: '15900' }), 'postgresql://firehose:firehose@127.0.0.1:15900/firehose')
})
