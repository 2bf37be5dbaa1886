import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readMaintainConfig } from '../../../maintenance/config.ts'
import { ConfigError } from '../../../platform/env.ts'

function problems(env: NodeJS.ProcessEnv): string[] {
  try {
    readMaintainConfig(env)
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    return error.problems
  }
  return []
}

test('all mistakes are reported together, without secrets', () => {
  const found = problems({
    DATABASE_URL: 'secret-nonsense',
    EVENTS_PARTITION: 'week',
    EVENTS_USER_INDEX: 'never',
    EVENTS_RETENTION_DAYS: '0',
    MAINTAIN_EVERY: '2d',
    MAINTAIN_PORT: '99999',
  })
  assert.deepEqual(
    found.map((problem) => problem.split(' ')[0]),
    [
      'EVENTS_PARTITION',
      'EVENTS_USER_INDEX',
      'EVENTS_RETENTION_DAYS',
      'MAINTAIN_EVERY',
      'MAINTAIN_PORT',
      'DATABASE_URL',
    ],
  )
  assert.doesNotMatch(found.join(), /secret/)
})

test("Kafka's settings are read only if events are deleted", () => {
  const env = { KAFKA_BOOTSTRAP_SERVERS: 'none' }
  assert.equal(readMaintainConfig({ ...env, DEAD_LETTERS_RETENTION_DAYS: '30' }).kafka, undefined)
  assert.match(problems({ ...env, EVENTS_RETENTION_DAYS: '30' }).join(), /^KAFKA_BOOTSTRAP_SERVERS must be/)
  const { kafka } = readMaintainConfig({ KAFKA_TOPIC: 'mine', EVENTS_RETENTION_DAYS: '30' })
  assert.equal(kafka?.topic, 'mine')
})

test('the service runs every hour, every ten minutes for hours, or as often as MAINTAIN_EVERY says', () => {
  const everyMs = (env: NodeJS.ProcessEnv): number => readMaintainConfig(env).everyMs
  assert.equal(everyMs({}), 3_600_000)
  assert.equal(everyMs({ EVENTS_PARTITION: 'hour' }), 600_000)
  assert.equal(everyMs({ EVENTS_PARTITION: 'hour', MAINTAIN_EVERY: '90s' }), 90_000)
  assert.deepEqual(problems({ MAINTAIN_EVERY: '0s' }), [
    'MAINTAIN_EVERY must be a duration from 1s to 1d, such as 90s, 10m or 1h, not "0s"',
  ])
})

test('none is about new tables: one that is partitioned goes on by days, and nothing is deleted by default', () => {
  assert.deepEqual(readMaintainConfig({ EVENTS_PARTITION: 'none' }).policy, {
    unit: 'day',
    userIndex: 'immediate',
    retentionDays: undefined,
    deadLetterDays: undefined,
  })
})

test('what Kubernetes sets for a Service named maintain is ignored, with a warning for the log', () => {
  const { port, warnings } = readMaintainConfig({ MAINTAIN_PORT: 'tcp://10.0.0.9:8003' })
  assert.deepEqual(
    [port, warnings.map((warning) => warning.split(':')[0])],
    [8003, ['MAINTAIN_PORT is ignored']],
  )
})
