import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { NodeService } from '../../embedded/node-service.ts'
import { freePorts } from '../../embedded/ports.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { type Ended, runFirehose } from '../support/run-firehose.ts'
import { until } from '../support/until.ts'

/* The commands that send events, or read the health of the API, against an API with keys and OPS_PORT. */

const dir = mkdtempSync(join(tmpdir(), 'firehose-clients-'))
const file = join(dir, 'keys.json')
let pipeline: Pipeline
let api: NodeService
let opsPort: string
/** What the commands get, without a key. */
let env: NodeJS.ProcessEnv
let secret: string

before(async () => {
  pipeline = await Pipeline.start()
  env = { ...pipeline.env, API_KEYS_FILE: file }
  secret = await createKey('batch-job', 'server')
  opsPort = String((await freePorts(1))[0])
  api = await pipeline.startApi({ API_KEYS_FILE: file, OPS_PORT: opsPort })
  await pipeline.startSink()
  env = { ...env, API_URL: api.url }
})
after(async () => {
  await pipeline?.close()
  rmSync(dir, { recursive: true })
})

async function createKey(label: string, kind: string): Promise<string> {
  const { code, out, err } = await runFirehose(env, 'keys', 'create', label, '--kind', kind, '--file', file)
  assert.equal(code, 0, err)
  return out.trim()
}

const EVENT = ['send', '--user-id', '1', '--name', 'signed_up']
const send = async (key: NodeJS.ProcessEnv): Promise<Ended> => await runFirehose({ ...env, ...key }, ...EVENT)

test('send has its key from the environment or from a file, and the row has the label as its source', async () => {
  const path = join(dir, 'secret')
  writeFileSync(path, `${secret}\n`)
  for (const key of [{ API_KEY: secret }, { API_KEY_FILE: path }]) {
    const { code, out, err } = await send(key)
    assert.deepEqual([code, err], [0, ''])
    const sql = 'SELECT source FROM events WHERE event_id = $1'
    const [row] = await until('the row', async () => {
      const rows = await pipeline.query<{ source: string }>(sql, [out.trim()])
      return rows.length === 1 ? rows : undefined
    })
    assert.equal(row?.source, 'batch-job')
  }
})

test('without a valid key, send says what to do; done so, the event is accepted', async () => {
  const remedy = /"npx firehose (keys create) LABEL (--kind server)" makes one/
  for (const key of [{}, { API_KEY: `${secret}x` }, { API_KEY: 'fh_server_' }]) {
    const { code, out, err } = await send(key)
    assert.deepEqual([code, out], [1, ''])
    assert.match(err, /Set API_KEY, or API_KEY_FILE, to the secret of a server key/)
    assert.match(err, remedy)
    assert.ok(!err.includes(secret), 'the key is not shown')
  }
  const wrongKind = await createKey('reports', 'read')
  const answer = await until('the key is known', async () => {
    const { err } = await send({ API_KEY: wrongKind })
    return /of this kind/.test(err) ? err : undefined
  })
  assert.match(answer, remedy)
  const made = await createKey('another-job', 'server')
  await until('the made key is known', async () => (await send({ API_KEY: made })).code === 0)
})

test('load sends with the key, and verify finds each event; without it, load says what to do', async () => {
  const acked = join(dir, 'acked.tsv')
  const plan = ['load', '--rate', '200', '--seconds', '1', '--shapes', '--acked', acked]
  const refused = await runFirehose(env, ...plan)
  assert.equal(refused.code, 1)
  assert.match(refused.out, /^failed +401: 200$/m)
  assert.match(refused.err, /^HTTP 401: .*Set API_KEY/m)
  const sent = await runFirehose({ ...env, API_KEY: secret }, ...plan)
  assert.equal(sent.code, 0, sent.err)
  await until('the sink has caught up', async () => await pipeline.isCaughtUp())
  const verdict = await pipeline.verify(acked)
  assert.ok(verdict.ok, JSON.stringify(verdict))
  assert.equal(verdict.acked_stored, 200)
  for (const text of [...Object.values(sent), ...Object.values(refused)])
    assert.ok(!String(text).includes(secret), 'the key is not shown')
})

test('the doctor finds the health of the API by OPS_PORT or API_OPS_URL; without them, it says that these are missing', async () => {
  const check = async (more: NodeJS.ProcessEnv): Promise<Ended> =>
    await runFirehose({ ...env, ...more }, 'doctor', '--check', 'api')
  const without = await check({})
  assert.equal(without.code, 1, without.out)
  // The text is broken into lines.
  const said = without.out.replaceAll(/\s+/g, ' ')
  assert.match(said, /its \/health cannot be read \(http:\S+ answers 404\).* Set OPS_PORT .* or API_OPS_URL/)
  for (const more of [{ OPS_PORT: opsPort }, { API_OPS_URL: `http://127.0.0.1:${opsPort}` }]) {
    const { code, out } = await check(more)
    assert.equal(code, 0, out)
  }
})
