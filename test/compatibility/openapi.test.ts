import { spawnSync } from 'node:child_process'
import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { NodeService } from '../../embedded/node-service.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { pythonWith } from '../support/python.ts'

/* The OpenAPI document, against the running API. */

const CONFIG = fileURLToPath(new URL('schemathesis.toml', import.meta.url))

let pipeline: Pipeline
let api: NodeService

before(async () => {
  pipeline = await Pipeline.start()
  api = await pipeline.startApi({ CORS_ORIGINS: '*' })
})
after(async () => {
  await pipeline?.close()
})

test('a fuzzer that is driven by the OpenAPI document finds nothing', async (t) => {
  const bin = await pythonWith('schemathesis==4.32.5')
  const { status, stdout, stderr } = spawnSync(
    join(bin, 'schemathesis'),
    [
      '--config-file',
      CONFIG,
      'run',
      `${api.url}/openapi.json`,
      '--max-examples',
      '200',
      '--no-color',
      '--seed',
      '18',
    ],
    { encoding: 'utf8', timeout: 300_000, cwd: pipeline.path('') },
  )
  t.diagnostic(stdout.split('\n').slice(-12).join('\n'))
  assert.equal(status, 0, `${stdout}\n${stderr}`)
})
