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

test('what Kubernetes sets for a Service named sink or pg is ignored, with warnings for the log', () => {
  const { port, database, warnings } = readSinkConfig({
    SINK_PORT: 'tcp://10.0.0.9:8001',
    PG_PORT: 'tcp://10.0.0.9:5432',
  })
  assert.deepEqual(
    [port, database.connectionString],
    [8001, 'postgresql://firehose:firehose@127.0.0.1:15432/firehose'],
  )
  assert.deepEqual(
    warnings.map((warning) => warning.split(':')[0]),
    ['SINK_PORT is ignored', 'PG_PORT is ignored'],
  )
})
