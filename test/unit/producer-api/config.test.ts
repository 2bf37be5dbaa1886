import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { createServer } from 'node:net'
import { test } from 'node:test'
import { apiSettings, readApiConfig, settingsHelp } from '../../../producer-api/config.ts'
import { ConfigError } from '../../../platform/env.ts'

function problemsOf(env: NodeJS.ProcessEnv): string[] {
  try {
    readApiConfig(env)
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    return error.problems
  }
  return []
}

test('the defaults are a complete configuration', () => {
  const config = readApiConfig({})
  assert.equal(config.host, '127.0.0.1')
  assert.equal(config.port, 8000)
  assert.deepEqual(config.kafka.brokers, ['127.0.0.1:19092'])
  assert.equal(config.topic.name, 'events')
  assert.equal(config.topic.partitions, 12)
  assert.equal(config.batcher.lingerMs, 5)
  assert.equal(config.batcher.deliveryTimeoutMs, 10_000)
  assert.deepEqual(config.corsOrigins, [])
  assert.ok(config.shutdownTimeoutMs > config.batcher.deliveryTimeoutMs)
})

test('all mistakes are reported at once', () => {
  const problems = problemsOf({ PORT: '80000', LINGER_MS: 'soon', LOG_LEVEL: 'loud', KAFKA_SSL: 'perhaps' })
  assert.deepEqual(
    problems.map((problem) => problem.split(' ')[0]),
    ['PORT', 'KAFKA_SSL', 'LINGER_MS', 'LOG_LEVEL'],
  )
})

test('invalid combinations of settings are reported', () => {
  const table: [NodeJS.ProcessEnv, RegExp][] = [
    [{ LINGER_MS: '200', DELIVERY_TIMEOUT_MS: '200' }, /^LINGER_MS /],
    [{ SHUTDOWN_TIMEOUT_MS: '10000' }, /^SHUTDOWN_TIMEOUT_MS /],
    [{ MAX_BODY_BYTES: '65535' }, /^MAX_BODY_BYTES /],
    [{ CORS_ORIGINS: '*, https://a.example' }, /^CORS_ORIGINS must be either/],
    [{ CORS_ORIGINS: 'https://a.example/' }, /^CORS_ORIGINS .*"https:\/\/a\.example\/"/],
    [{ CORS_ORIGINS: 'a.example' }, /^CORS_ORIGINS /],
    [{ KAFKA_BOOTSTRAP_SERVERS: 'kafka' }, /^KAFKA_BOOTSTRAP_SERVERS /],
    [{ KAFKA_SASL_MECHANISM: 'plain' }, /^KAFKA_SASL_MECHANISM /],
  ]
  for (const [env, expected] of table) {
    const problems = problemsOf(env)
    assert.equal(problems.length, 1, problems.join('; '))
    assert.match(problems[0] ?? '', expected)
  }
  assert.equal(problemsOf({ KAFKA_TOPIC: 'no spaces', CORS_ORIGINS: 'nonsense' }).length, 2)
})

test('CORS_ORIGINS is a list of origins, or *', () => {
  assert.equal(readApiConfig({ CORS_ORIGINS: '*' }).corsOrigins, '*')
  const { corsOrigins } = readApiConfig({ CORS_ORIGINS: 'https://a.example, http://localhost:3000' })
  assert.deepEqual(corsOrigins, ['https://a.example', 'http://localhost:3000'])
})

test('--help lists every setting; an invalid one exits with 78 before the API listens', () => {
  const run = (args: string[], env: NodeJS.ProcessEnv) =>
    spawnSync(process.execPath, ['cli/firehose.ts', 'api', ...args], {
      env: { PATH: process.env.PATH, ...env },
      encoding: 'utf8',
    })
  const help = run(['--help'], {})
  assert.equal(help.status, 0)
  assert.ok(help.stdout.endsWith(settingsHelp()))
  for (const name of Object.keys(apiSettings)) assert.match(help.stdout, new RegExp(`^  ${name}$`, 'm'))
  const bad = run([], { PORT: 'x', KAFKA_SASL_PASSWORD: 'hunter2', KAFKA_SASL_MECHANISM: 'telepathy' })
  assert.equal(bad.status, 78)
  assert.match(bad.stderr, /PORT must be a whole number[^]*KAFKA_SASL_MECHANISM must be one of/)
  assert.doesNotMatch(bad.stderr + bad.stdout, /hunter2|\bat .*\.ts:/)
})

test('a port in use is reported in one sentence', async () => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' ? String(address?.port) : ''
  const child = spawn(process.execPath, ['cli/firehose.ts', 'api'], {
    env: { PATH: process.env.PATH, PORT: port },
  })
  let errors = ''
  child.stderr.on('data', (chunk) => {
    errors += String(chunk)
  })
  const code = await new Promise((resolve) => child.on('close', resolve))
  server.close()
  assert.equal(code, 1)
  assert.equal(
    errors,
    `127.0.0.1:${port} is in use by another program: stop it, or set PORT to a free port.\n`,
  )
})

test('all mistakes are reported at once, including invalid combinations', () => {
  const env = { PORT: 'x', KAFKA_BOOTSTRAP_SERVERS: 'nowhere', LINGER_MS: '500', DELIVERY_TIMEOUT_MS: '200' }
  const read = (): unknown => readApiConfig(env)
  assert.throws(read, (error: Error) => {
    for (const name of ['PORT must', 'KAFKA_BOOTSTRAP_SERVERS must', 'LINGER_MS must'])
      assert.match(error.message, new RegExp(name))
    return true
  })
})
