import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { after, before, test } from 'node:test'
import type { NodeService } from '../../embedded/node-service.ts'
import { freePorts } from '../../embedded/ports.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { rawExchange } from '../support/http.ts'
import { JwksServer } from '../support/jwks-server.ts'
import { KeyFileFixture, makeKey } from '../support/key-files.ts'
import { AUDIENCE, ISSUER, Signer } from '../support/signer.ts'
import { until } from '../support/until.ts'

/* No key, token or query string may appear anywhere: not in logs of any level, answers, metrics or process lists. */

const CANARY = 'canary-4f1c'
const SHOP = 'https://shop.example'
const server = makeKey('backend', 'server', { eventsPerSecond: 1, burst: 1_000 })
const browser = makeKey('shop', 'browser', { origins: [SHOP] })
const unknown = makeKey('gone', 'server')
const keys = new KeyFileFixture(server, browser)

let pipeline: Pipeline
let api: NodeService
let token: string
let wrongToken: string

before(async () => {
  const signer = await Signer.make('one')
  const jwks = await JwksServer.start({ after }, signer)
  token = await signer.token(Date.now())
  wrongToken = await (await Signer.make('one')).token(Date.now())
  pipeline = await Pipeline.start({ LOG_LEVEL: 'trace' })
  const [opsPort] = await freePorts(1)
  api = await pipeline.startApi({
    API_KEYS_FILE: keys.path,
    JWT_JWKS_URL: String(jwks.url),
    JWT_ISSUER: ISSUER,
    JWT_AUDIENCE: AUDIENCE,
    ADDRESS_REQUESTS_PER_SECOND: '1000',
    OPS_PORT: String(opsPort),
  })
  opsUrl = `http://127.0.0.1:${opsPort}`
})
let opsUrl: string
after(async () => {
  await pipeline?.close()
  keys.remove()
})

const EVENT = '{"user_id":1,"timestamp":"2025-01-31T12:00:00Z","metadata":{}}'

test('what clients send as credentials and in queries appears nowhere', async () => {
  const answers: string[] = []
  const post = async (headers: Record<string, string>, query = '', body = EVENT): Promise<void> => {
    const response = await fetch(`${api.url}/event?x=${CANARY}${query}`, {
      method: 'POST',
      body,
      headers: { 'Content-Type': 'application/json', ...headers },
    })
    answers.push(JSON.stringify([...response.headers]) + (await response.text()))
  }
  const bearer = (text: string): Record<string, string> => ({ Authorization: `Bearer ${text}` })
  for (const text of [server.text, unknown.text, token, wrongToken, `${CANARY}.${CANARY}.${CANARY}`]) {
    await post(bearer(text))
    await post({ 'X-API-Key': text })
    await post({}, `&key=${text}`)
    await post({ Origin: SHOP }, `&key=${text}`)
    await post(bearer(text), '', `{"${CANARY}":`)
    await post(bearer(text), '', '[]')
  }
  await post({ Origin: SHOP }, `&key=${browser.text}`)
  // Refused by the parser, over a limit, without a path, cut in the middle, and more events than the limit allows.
  const raw = [
    `POST /event?key=${browser.text}&x=${CANARY} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${server.text}\r\nBroken\r\n\r\n`,
    `POST /event?key=${browser.text}&x=${CANARY} HTTP/1.1\r\nHost: x\r\nX-Large: ${'x'.repeat(40_000)}\r\n\r\n`,
    `POST /nowhere?key=${browser.text}&x=${CANARY} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
    `POST /event&key=${browser.text} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
    `POST /event%3Fkey=${browser.text} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
    `POST /event/${token} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
    `POST /event HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer ${server.text}\r\nAuthorization: Bearer ${server.text}\r\n\r\n`,
    `DELETE /event?key=${browser.text}&x=${CANARY} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
  ]
  for (const text of raw) answers.push(await rawExchange(api.url, [text]))
  const many = `[${Array.from({ length: 1_000 }, () => EVENT).join(',')}]`
  const limited = await fetch(`${api.url}/events?${CANARY}`, {
    method: 'POST',
    body: many,
    headers: { 'Content-Type': 'application/json', ...bearer(server.text) },
  })
  assert.equal(limited.status, 429)
  answers.push(await limited.text())
  // A key file that cannot be used.
  keys.writeText(`{"keys":[{"label":"x","secret":"${server.text}"}]}`)
  await until('health says that the file cannot be used', async () => {
    const health = (await (await fetch(`${opsUrl}/health`)).json()) as {
      access: { keys: { problem?: string } }
    }
    return health.access.keys.problem !== undefined
  })
  for (const path of ['/health', '/metrics']) answers.push(await (await fetch(opsUrl + path)).text())

  const folder = dirname(pipeline.path('x'))
  const logs = readdirSync(folder).filter((name) => name.endsWith('.log'))
  assert.ok(logs.length > 0)
  const texts: [string, string][] = [
    ...logs.map((name): [string, string] => [name, readFileSync(join(folder, name), 'utf8')]),
    ['command line', readFileSync(`/proc/${api.pid}/cmdline`, 'utf8')],
    ['environment', readFileSync(`/proc/${api.pid}/environ`, 'utf8')],
    ...answers.map((text, n): [string, string] => [`answer ${n}`, text]),
  ]
  const log = texts.map(([, text]) => text).join('\n')
  assert.match(log, /request refused/)
  const secrets = [server.text, browser.text, unknown.text, token, wrongToken, CANARY]
  for (const [name, text] of texts)
    for (const secret of secrets)
      for (const part of [secret, secret.slice(-40)])
        assert.ok(!text.includes(part), `${name} has ${part.slice(0, 12)}...`)
})
