import assert from 'node:assert/strict'
import { test } from 'node:test'
import { commandPrefix, launchConfig, serviceEnv } from '../../../embedded/launch-settings.ts'
import { ConfigError } from '../../../platform/env.ts'

function problems(env: NodeJS.ProcessEnv): string[] {
  try {
    launchConfig(env)
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    return error.problems
  }
  return []
}

test('the mistakes of the launcher and the services are reported together, each once', () => {
  const env = { PORT: 'abc', PG_PORT: '99999', LINGER_MS: 'x', FETCH_MIN_BYTES: '0', KAFKA_TOPIC: 'a b' }
  const names = problems({
    ...env,
    LOG_LEVEL: 'loud',
    EVENTS_PARTITION: 'week',
    EVENTS_RETENTION_DAYS: '1',
  }).map((problem) => problem.split(' ')[0])
  const expected = [
    'PORT',
    'PG_PORT',
    'LINGER_MS',
    'LOG_LEVEL',
    'KAFKA_TOPIC',
    'FETCH_MIN_BYTES',
    'EVENTS_PARTITION',
  ]
  assert.deepEqual(names, expected)
})

test('settings of the addresses that npm start replaces are no mistakes', () => {
  assert.deepEqual(
    problems({ DATABASE_URL: 'x', KAFKA_BOOTSTRAP_SERVERS: 'x', PGPORT: 'x', KAFKA_SSL: 'x' }),
    [],
  )
})

test('one port cannot be used twice', () => {
  assert.deepEqual(problems({ SINK_PORT: '8000' }), ['PORT and SINK_PORT set the same port 8000'])
  assert.deepEqual(problems({ OPS_PORT: '8000' }), ['PORT and OPS_PORT set the same port 8000'])
  assert.deepEqual(problems({ OPS_PORT: '8002' }), [])
  assert.deepEqual(problems({ MAINTAIN_PORT: '8001' }), [
    'SINK_PORT and MAINTAIN_PORT set the same port 8001',
  ])
  assert.deepEqual(problems({ KAFKA_PORT: '15431' }), [
    'KAFKA_PORT (its controller uses the next port) and PG_PORT set the same port 15432',
  ])
})

test('the port for operators is none by default, may not be any, and reaches the services as it was read', () => {
  assert.equal(launchConfig({}).opsPort, undefined)
  assert.deepEqual(problems({ OPS_PORT: '0' }), ['OPS_PORT must be a whole number from 1 to 65535, not "0"'])
  const opsPortIn = (env: NodeJS.ProcessEnv): string | undefined =>
    serviceEnv(env, launchConfig(env), 'kafka', 'postgres').env.OPS_PORT
  assert.equal(opsPortIn({ OPS_PORT: '8002' }), '8002')
  assert.equal(opsPortIn({ OPS_PORT: 'tcp://10.0.0.3:9000' }), undefined)
})

test('a port that Kubernetes has set is ignored with a warning', () => {
  const { kafkaPort, warnings } = launchConfig({ KAFKA_PORT: 'tcp://10.0.0.3:9092' })
  assert.deepEqual([kafkaPort, warnings.length], [19_092, 1])
})

test('hints carry the variables of a second stack, and undo those that lead elsewhere', () => {
  assert.equal(commandPrefix(launchConfig({}), []), '')
  const env = { PG_PORT: '15500', FIREHOSE_DIR: "/tmp/it's", PORT: '8000' }
  assert.equal(
    commandPrefix(launchConfig(env), ['PGUSER', 'DATABASE_URL']),
    "PGUSER= DATABASE_URL= PG_PORT=15500 FIREHOSE_DIR='/tmp/it'\\''s' ",
  )
  assert.equal(
    commandPrefix(launchConfig({ OPS_PORT: '8002', MAINTAIN_PORT: '8004' }), []),
    'OPS_PORT=8002 MAINTAIN_PORT=8004 ',
  )
})

test('whether clients need a key or a token is known', () => {
  assert.equal(launchConfig({}).needsKey, false)
  assert.equal(launchConfig({ API_KEYS_FILE: 'keys.json' }).needsKey, true)
})
