import assert from 'node:assert/strict'
import { chmodSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { generateKeyPairSync } from 'node:crypto'
import { after, before, test } from 'node:test'
import type { NodeService } from '../../embedded/node-service.ts'
import type { Finding } from '../../doctor/finding.ts'
import { freePorts } from '../../embedded/ports.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { diagnose } from '../support/diagnosis.ts'
import { KeyFileFixture, makeKey } from '../support/key-files.ts'
import { runFirehose, runLine } from '../support/run-firehose.ts'
import { until } from '../support/until.ts'

/* What the doctor says of keys, tokens and anonymous writing is right: its remedies are applied, and it is content. */

const DAY_MS = 86_400_000
/** An API uses a changed file within this time. */
const SEEN_MS = 5_000

let pipeline: Pipeline

before(async () => {
  pipeline = await Pipeline.start({ KAFKA_TOPIC_PARTITIONS: '1' })
})
after(async () => {
  await pipeline?.close()
})

/** What the doctor finds wrong, or notes, about who may write to an API. */
async function found(api: NodeService, env: NodeJS.ProcessEnv = {}): Promise<Finding[]> {
  const options = ['--check', 'access', '--check', 'keys', '--api', api.url]
  // Without a topic, it does not observe it for two seconds.
  const { findings, words } = await diagnose({ ...pipeline.env, KAFKA_TOPIC: 'none', ...env }, options)
  assert.ok(findings.length > 0, words)
  return findings.filter(({ level }) => level !== 'ok')
}

function textsOf(findings: readonly Finding[]): string[] {
  return findings.map(({ check, level, text }) => `${level} ${check} ${text}`)
}

/** Runs the commands of `firehose keys` in a remedy. */
async function runKeys(mend = '', env: NodeJS.ProcessEnv): Promise<string[]> {
  const commands = [...mend.matchAll(/npx firehose (keys .*?)(?= &&|;|\. |$)/g)].map(
    ([, command = '']) => command,
  )
  assert.ok(commands.length > 0, mend)
  const printed: string[] = []
  for (const command of commands) {
    const { code, out, err } = await runFirehose({ ...pipeline.env, ...env }, ...command.split(' '))
    assert.equal(code, 0, err)
    printed.push(out.trim())
  }
  return printed
}

async function statusWith(api: NodeService, secret: string): Promise<number> {
  const response = await fetch(`${api.url}/event`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${secret}` },
    body: '{"user_id":1,"timestamp":"2026-01-02T03:04:05Z","metadata":{}}',
  })
  await response.arrayBuffer()
  return response.status
}

/** Why an API could not use its key file last time; '' if it could. */
async function keyProblem(api: NodeService): Promise<string> {
  const health = (await api.health()) as { access?: { keys?: { problem?: string } } } | undefined
  return health?.access?.keys?.problem ?? ''
}

function replace(path: string, text: string): void {
  writeFileSync(`${path}.next`, text, { mode: statSync(path, { throwIfNoEntry: false })?.mode ?? 0o600 })
  renameSync(`${path}.next`, path)
}

test('keys: what expires, what has expired, who can read the file, and browser keys without origins or limit', async (t) => {
  const inDays = (days: number): number => Math.floor(Date.now() / 1_000) * 1_000 + days * DAY_MS
  const soon = makeKey('soon', 'server', {}, inDays(3))
  const gone = makeKey('gone', 'server', {}, inDays(-1))
  const bare = makeKey('bare', 'browser', { eventsPerSecond: 100 })
  const wide = makeKey('wide', 'browser', { origins: ['https://shop.example'] })
  const keys = KeyFileFixture.of(t, soon, gone, bare, wide)
  const env = { API_KEYS_FILE: keys.path }
  chmodSync(keys.path, 0o644)
  const api = await pipeline.startApi(env)
  const findings = await found(api, env)
  const [open, expiring, origins, limit, expired, ...others] = findings
  assert.deepEqual(others, [], textsOf(others).join('\n'))
  assert.match(open?.text ?? '', /Every user of this machine can read/)
  assert.match(expiring?.text ?? '', /^Key "soon" \(secret \w{8}\) expires at .* in (?:2 days|71 h|3 days)/)
  assert.match(origins?.text ?? '', /no origins.*: "bare"\.$/)
  assert.match(limit?.text ?? '', /no limit.*: "wide"\.$/)
  assert.deepEqual([expired?.level, /of key "gone"/.test(expired?.text ?? '')], ['note', true])

  assert.equal((await runLine(open?.mend ?? '', {})).code, 0)
  const [secret = ''] = await runKeys(expiring?.mend, env)
  await runKeys(expired?.mend, env)
  const [, origin = ''] = /("origins": \[.*?\])/.exec(origins?.mend ?? '') ?? []
  const [, rate = ''] = /("events_per_second": \d+)/.exec(limit?.mend ?? '') ?? []
  const text = readFileSync(keys.path, 'utf8')
    .replace('"label": "bare",', `"label": "bare", ${origin},`)
    .replace('"label": "wide",', `"label": "wide", ${rate},`)
  replace(keys.path, text)
  const [old, ...more] = await found(api, env)
  assert.deepEqual(more, [])
  assert.match(`${old?.level} ${old?.text}`, /^note Of key "soon", the secret \w{8} ends/)
  await until('the API takes the new secret', async () => (await statusWith(api, secret)) === 202, SEEN_MS)
  assert.equal(await statusWith(api, soon.text), 202)
  assert.equal(await statusWith(api, gone.text), 401)

  // The other remedy against no limit, and what the doctor says where it sees no file.
  replace(keys.path, text.replace(`${rate},`, ''))
  assert.match(textsOf(await found(api, env)).join('\n'), /warning keys .* no limit/)
  assert.deepEqual(
    textsOf(await found(api, { ...env, KEY_EVENTS_PER_SECOND: '500' })).filter(
      (each) => !each.startsWith('note'),
    ),
    [],
  )
  const [unseen] = await found(api)
  assert.equal(unseen?.level, 'note')
  const [, path = ''] = /API_KEYS_FILE=(\S+) npx firehose doctor/.exec(unseen?.mend ?? '') ?? []
  assert.equal(path, keys.path)
})

test('a file that is broken, then without keys: what an API does with it, and the way back', async (t) => {
  const app = makeKey('app', 'server')
  const keys = KeyFileFixture.of(t, app)
  const env = { API_KEYS_FILE: keys.path }
  const api = await pipeline.startApi(env)
  assert.deepEqual(await found(api, env), [])
  const good = readFileSync(keys.path, 'utf8')
  replace(keys.path, good.replace('"label"', '"lable"'))
  await until('the API has seen the broken file', async () => /is wrong/.test(await keyProblem(api)), SEEN_MS)
  assert.match(
    textsOf(await found(api, env)).join('\n'),
    /^warning access The API at \S+ keeps the keys that it had: API_KEYS_FILE is wrong.*\nwarning keys API_KEYS_FILE is wrong/,
  )
  assert.equal(await statusWith(api, app.text), 202)
  rmSync(keys.path)
  await until(
    'the API has seen that it is gone',
    async () => /no such file/.test(await keyProblem(api)),
    SEEN_MS,
  )
  assert.match(
    textsOf(await found(api, env)).join('\n'),
    /^warning access .*no such file.*\nwarning keys API_KEYS_FILE cannot be read/,
  )
  replace(keys.path, '{"keys":[]}\n')
  await until('the API has no key', async () => (await statusWith(api, app.text)) === 401, SEEN_MS)
  const none = await found(api, env)
  assert.match(
    textsOf(none).join('\n'),
    /^critical access .* refuses everybody \(401\).*\nwarning keys .* has no key/,
  )
  const [secret = ''] = await runKeys(none[0]?.mend, env)
  await until('the API takes the new key', async () => (await statusWith(api, secret)) === 202, SEEN_MS)
  assert.deepEqual(await found(api, env), [])
})

test('anyone may write with ALLOW_ANONYMOUS, not after its remedy; a file that no API uses is a warning', async (t) => {
  const open = await pipeline.startApi({ ALLOW_ANONYMOUS: 'true', HOST: '0.0.0.0' })
  const [anyone, ...others] = await found(open)
  assert.deepEqual([anyone?.level, anyone?.check, others], ['warning', 'access', []])
  assert.equal(await statusWith(open, 'nothing'), 202)

  const keys = KeyFileFixture.of(t, makeKey('other', 'server'))
  const env = { API_KEYS_FILE: keys.path }
  const [, unused] = await found(open, env)
  assert.match(unused?.text ?? '', /has 1 key, but the API at \S+ takes none/)
  const [secret = ''] = await runKeys(anyone?.mend, env)
  const closed = await pipeline.startApi({ ...env, HOST: '0.0.0.0' })
  assert.deepEqual(await found(closed, env), [])
  assert.equal(await statusWith(closed, secret), 202)
  assert.equal(await statusWith(closed, 'nothing'), 401)
})

test('the keys of tokens: never there is critical, there no more is a warning, there again is ok', async () => {
  const about = { JWT_ISSUER: 'https://login.example', JWT_AUDIENCE: 'events' }
  const [port] = await freePorts(1)
  const never = await pipeline.startApi({ ...about, JWT_JWKS_URL: `http://127.0.0.1:${port}/jwks` })
  const [critical] = await until('the API has tried', async () => {
    const findings = await found(never)
    return findings.length > 0 ? findings : undefined
  })
  assert.match(
    `${critical?.level} ${critical?.text}`,
    /^critical The API at \S+ has no keys to check tokens with: .*check JWT_JWKS_URL/,
  )

  const path = pipeline.path('jwks.json')
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwks = JSON.stringify({ keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'one' }] })
  writeFileSync(path, jwks)
  const api = await pipeline.startApi({ ...about, JWT_JWKS_FILE: path })
  assert.deepEqual(await found(api), [])
  rmSync(path)
  const [warning] = await until('the API cannot read it again', async () => {
    const findings = await found(api)
    return findings.length > 0 ? findings : undefined
  })
  assert.match(
    `${warning?.level} ${warning?.text}`,
    /^warning The API at \S+ cannot read the keys of tokens again: .*check JWT_JWKS_FILE/,
  )
  writeFileSync(path, jwks)
  await until('the doctor is content', async () => (await found(api)).length === 0)
})
