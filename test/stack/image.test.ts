import assert from 'node:assert/strict'
import { before, test } from 'node:test'
import { containerHealth, docker } from '../support/compose.ts'
import { until } from '../support/until.ts'

/* The images of the services, as `docker build` makes them. */

const images = ['producer-api', 'sink-worker'].map((target) => ({
  target,
  image: `firehose-test-${target}`,
}))

before(async () => {
  for (const { target, image } of images)
    await docker('build', '--quiet', '--target', target, '--tag', image, '.')
})

for (const { target, image } of images) {
  test(`the image of ${target} is small, and has no build tools and an unprivileged user`, async (t) => {
    const megabytes = Number(await docker('image', 'inspect', '--format', '{{.Size}}', image)) / 1e6
    t.diagnostic(`${megabytes.toFixed(0)} MB`)
    assert.ok(megabytes < 300, `${megabytes} MB`)
    const look = (command: string) => docker('run', '--rm', '--entrypoint', 'sh', image, '-c', command)
    assert.match(await look('id -u'), /^10001$/)
    const user = await docker('image', 'inspect', '--format', '{{.Config.User}}', image)
    assert.equal(user, '10001:10001', 'a number, for runAsNonRoot')
    assert.equal(await look('command -v npm npx yarn gcc make python3 curl git || true'), '')
    assert.equal(
      await look('ls node_modules | grep -E "^(typescript|testcontainers|fast-check)$" || true'),
      '',
    )
    assert.equal(await look('find /app -writable -name "*.ts"'), '')
    const env = await docker('image', 'inspect', '--format', '{{json .Config.Env}}', image)
    assert.doesNotMatch(env, /PASSWORD|DATABASE_URL/)
  })

  test(`${target} runs on a read-only file system, and exits with 0 on SIGTERM even without Kafka and PostgreSQL`, async () => {
    const id = await docker(
      'run',
      '--detach',
      '--read-only',
      '--cap-drop',
      'ALL',
      '--health-interval',
      '1s',
      '--env',
      'PUBLISHED_ADDRESS=127.0.0.1',
      image,
    )
    try {
      await until(`${target} lives`, async () => (await containerHealth(id)) === 'healthy', 30_000)
      const [main] = (await docker('exec', id, 'cat', '/proc/1/comm')).split('\n')
      assert.match(main ?? '', /^(node|MainThread)$/)
      await docker('stop', '--time', '20', id)
      assert.equal(await docker('inspect', '--format', '{{.State.ExitCode}}', id), '0')
    } finally {
      await docker('rm', '--force', '--volumes', id)
    }
  })

  test(`${target} reports invalid settings and exits with 78`, async () => {
    const failed: unknown = await docker('run', '--rm', '--env', 'KAFKA_BOOTSTRAP_SERVERS=none', image).catch(
      (error: unknown) => error,
    )
    const { code, stderr } = failed as { code: number; stderr: string }
    assert.equal(code, 78)
    assert.match(stderr, /KAFKA_BOOTSTRAP_SERVERS must be host:port or \[IPv6 address\]:port, not "none"/)
  })
}

test('producer-api refuses to take events from anyone on an address that others can reach, and names the remedies', async () => {
  const image = images[0]!.image
  for (const published of ['', '0.0.0.0', '192.0.2.1']) {
    const failed: unknown = await docker(
      'run',
      '--rm',
      '--env',
      `PUBLISHED_ADDRESS=${published}`,
      image,
    ).catch((error: unknown) => error)
    const { code, stderr } = failed as { code: number; stderr: string }
    assert.equal(code, 78, stderr)
    assert.match(
      stderr,
      /anyone who reaches .* could write events: set API_KEYS_FILE .*; or set ALLOW_ANONYMOUS=true/,
    )
  }
})
