import assert from 'node:assert/strict'
import { rmSync, writeFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import type { NodeService } from '../../embedded/node-service.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { KeyFileFixture, type Made, makeKey } from '../support/key-files.ts'
import { metricsOf } from '../../tools/bench/metrics.ts'
import { until } from '../support/until.ts'

/* What two APIs do, and within which time, when their key file changes. */

/** A change is seen within this time. */
const SEEN_MS = 5_000

let pipeline: Pipeline
let apis: NodeService[]
const first = makeKey('first', 'server')
const second = makeKey('second', 'server')
const keys = new KeyFileFixture(first)

before(async () => {
  pipeline = await Pipeline.start()
  const start = (): Promise<NodeService> => pipeline.startApi({ API_KEYS_FILE: keys.path })
  apis = await Promise.all([start(), start()])
})
after(async () => {
  await pipeline?.close()
  keys.remove()
})

const EVENT = '{"user_id":1,"timestamp":"2025-01-31T12:00:00Z","metadata":{}}'

async function status(api: NodeService, { text }: Made): Promise<number> {
  const headers = { 'Content-Type': 'application/json', Authorization: `Bearer ${text}` }
  const response = await fetch(`${api.url}/event`, { method: 'POST', body: EVENT, headers })
  await response.arrayBuffer()
  return response.status
}

/** Waits until both APIs answer so. */
async function both(what: string, made: Made, expected: number): Promise<void> {
  for (const api of apis)
    await until(`${what}: ${expected}`, async () => (await status(api, made)) === expected, SEEN_MS)
}

async function problems(): Promise<unknown[]> {
  const healths = await Promise.all(apis.map(async (api) => await api.health()))
  return healths.map(
    (health) => (health?.access as { keys?: { problem?: string } } | undefined)?.keys?.problem,
  )
}

test('a key that is added, revoked, or replaced by another counts within 5 s', async () => {
  await both('the first key', first, 202)
  await both('a key that is not there', second, 401)
  keys.write(first, second)
  await both('an added key', second, 202)
  keys.write(second)
  await both('a revoked key', first, 401)
  await both('the other key', second, 202)
  keys.write(first)
  await both('the replaced key', second, 401)
})

test('both secrets of a key that is rotated count, until the old one ends', async () => {
  const [old, next] = [makeKey('rotated', 'server'), makeKey('rotated', 'server')]
  const endsMs = Math.ceil(Date.now() / 1_000) * 1_000 + 4_000
  const secrets = [{ ...old.key.secrets[0]!, expiresMs: endsMs }, next.key.secrets[0]!]
  keys.write({ ...old, key: { ...old.key, secrets } })
  await both('the new secret', next, 202)
  if (Date.now() < endsMs) await both('the old secret', old, 202)
  await both('the old secret after its end', old, 401)
  await both('the new secret', next, 202)
})

for (const [what, change] of [
  ['emptied', () => keys.writeText('')],
  ['broken', () => keys.writeText('{"keys":[')],
  ['deleted', () => rmSync(keys.path)],
] as const)
  test(`the last good keys stay while the file is ${what}; health and a metric say so`, async () => {
    keys.write(first)
    await both('the key', first, 202)
    change()
    await until(
      'both APIs say that the file cannot be used',
      async () => (await problems()).every((problem) => typeof problem === 'string'),
      SEEN_MS,
    )
    await both('the key that stays', first, 202)
    await both('no other key', second, 401)
    for (const api of apis) assert.equal((await metricsOf(api.url))('firehose_api_key_file_ok'), 0)
    keys.write(second)
    await both('a key of the good file', second, 202)
    await both('the key that is gone', first, 401)
    for (const problem of await problems()) assert.equal(problem, undefined)
  })

test('a file from which the last key was revoked refuses everybody', async () => {
  keys.write(first)
  await both('the key', first, 202)
  keys.writeText('{"keys":[]}\n')
  await both('the last key', first, 401)
})

test('no API starts without keys: it says what to do, and exits with 78', async () => {
  for (const text of ['', '{"keys":[]}', 'nonsense', undefined]) {
    const other = new KeyFileFixture()
    if (text === undefined) rmSync(other.path)
    else writeFileSync(other.path, text)
    const api = await pipeline.spawnApi({ API_KEYS_FILE: other.path })
    const { code } = await api.exited
    other.remove()
    assert.equal(code, 78, api.lastLines().join('\n'))
    assert.match(api.lastLines().join('\n'), /API_KEYS_FILE/)
  }
})
