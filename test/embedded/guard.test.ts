import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { isPortFree } from '../../embedded/ports.ts'
import { until } from '../support/until.ts'

/* For containers, Ryuk does this. */

const PROGRAM = `
  import { startBackend } from './tools/stack/backends.ts'
  const { kafka, postgres } = await startBackend()
  process.send([kafka.bootstrapServers.split(':')[1], new URL(postgres.url).port].map(Number))`

test('a killed test process leaves neither services nor data behind', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'firehose-guard-'))
  chmodSync(dir, 0o711) // under root, PostgreSQL runs as another user
  try {
    const child = spawn(process.execPath, ['--input-type=module', '--eval', PROGRAM], {
      env: { ...process.env, FIREHOSE_BACKEND: 'embedded', TMPDIR: dir },
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    })
    const [ports] = (await once(child, 'message')) as [number[]]
    assert.deepEqual(await Promise.all(ports.map(isPortFree)), [false, false])
    assert.equal(dataIn(dir).length, 1)
    child.kill('SIGKILL')
    await until('both ports are free', async () => (await Promise.all(ports.map(isPortFree))).every(Boolean))
    await until('the data are gone', () => dataIn(dir).length === 0)
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
})

function dataIn(dir: string): string[] {
  return readdirSync(dir).filter((name) => name.startsWith('firehose-test-'))
}
