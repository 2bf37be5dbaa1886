import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { NodeService } from '../../embedded/node-service.ts'
import { freePorts } from '../../embedded/ports.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { problemOf } from '../support/http.ts'

/* OPS_PORT: what only operators need is not on the port that clients reach. */

let pipeline: Pipeline
let api: NodeService
let opsUrl: string

before(async () => {
  pipeline = await Pipeline.start()
  const [port = 0] = await freePorts(1)
  opsUrl = `http://127.0.0.1:${port}`
  api = await pipeline.startApi({ OPS_PORT: String(port) })
})
after(async () => {
  await pipeline?.close()
})

const INSIDE = ['/health', '/metrics', '/docs', '/docs/swagger-ui.css', '/openapi.json']
const PROBES = ['/livez', '/readyz']

test('health, metrics and documentation are on the other port only, probes on both', async () => {
  for (const path of INSIDE) {
    await problemOf(await fetch(api.url + path), 404, 'not-found')
    assert.equal((await fetch(opsUrl + path)).status, 200, path)
  }
  for (const url of [api.url, opsUrl])
    for (const path of PROBES) assert.equal((await fetch(url + path)).status, 200, url + path)
})

test('events are taken on the public port only', async () => {
  const body = '{"user_id":1,"timestamp":"2025-01-31T12:00:00Z","metadata":{}}'
  const post = (url: string): Promise<Response> =>
    fetch(`${url}/event`, { method: 'POST', body, headers: { 'Content-Type': 'application/json' } })
  assert.equal((await post(api.url)).status, 202)
  assert.equal((await post(opsUrl)).status, 404)
})

test('the public port says nothing of documentation that is elsewhere', async () => {
  const problem = await problemOf(await fetch(`${api.url}/nowhere`), 404, 'not-found')
  assert.doesNotMatch(problem.detail, /docs/)
})
