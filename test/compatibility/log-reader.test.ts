import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { freePorts } from '../../embedded/ports.ts'
import { until } from '../support/until.ts'

test('a service goes on when nobody reads its log any more', async () => {
  const [port = 0] = await freePorts(1)
  const child = spawn(process.execPath, ['cli/firehose.ts', 'api'], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    env: { PATH: process.env.PATH, PORT: String(port), KAFKA_BOOTSTRAP_SERVERS: '127.0.0.1:1' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  child.stdout?.destroy()
  const ended = once(child, 'exit')
  const get = async (path: string): Promise<number | undefined> =>
    (await fetch(`http://127.0.0.1:${port}${path}`).catch(() => undefined))?.status
  try {
    await until('the API answers', async () => (await get('/livez')) === 200, 10_000)
    assert.equal(await get('/nowhere'), 404, 'which is logged')
    assert.equal(await get('/livez'), 200)
  } finally {
    child.kill()
  }
  assert.deepEqual(await ended, [0, null])
})
