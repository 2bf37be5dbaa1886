import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import * as fc from 'fast-check'
import type { NodeService } from '../../embedded/node-service.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { problemOf, rawExchange } from '../support/http.ts'
import { JwksServer } from '../support/jwks-server.ts'
import { KeyFileFixture, makeKey } from '../support/key-files.ts'
import { AUDIENCE, ISSUER, Signer } from '../support/signer.ts'

/* Who may write, with a real Kafka: only what has a valid credential of the right kind changes the topic. */

const SHOP = 'https://shop.example'
const server = makeKey('backend', 'server')
const browser = makeKey('shop', 'browser', { origins: [SHOP] })
const read = makeKey('reports', 'read')
const operate = makeKey('admin', 'operate')
const expired = makeKey('old', 'server', {}, 1_000)
const revoked = makeKey('gone', 'server')
const keys = new KeyFileFixture(server, browser, read, operate, expired)

let pipeline: Pipeline
let api: NodeService
let signer: Signer
let foreign: Signer
let jwks: JwksServer

before(async () => {
  signer = await Signer.make('one')
  foreign = await Signer.make('one')
  jwks = await JwksServer.start({ after }, signer)
  pipeline = await Pipeline.start()
  api = await pipeline.startApi({
    API_KEYS_FILE: keys.path,
    JWT_JWKS_URL: String(jwks.url),
    JWT_ISSUER: ISSUER,
    JWT_AUDIENCE: AUDIENCE,
    CORS_ORIGINS: 'https://*.wild.example',
  })
})
after(async () => {
  await pipeline?.close()
  keys.remove()
})

const EVENT = '{"user_id":1,"timestamp":"2025-01-31T12:00:00Z","metadata":{}}'
const bearer = (text: string): Record<string, string> => ({ Authorization: `Bearer ${text}` })
const post = (headers: Record<string, string>, path = '/event', body = EVENT): Promise<Response> =>
  fetch(api.url + path, { method: 'POST', body, headers: { 'Content-Type': 'application/json', ...headers } })
const records = async (): Promise<bigint> => (await pipeline.ends()).reduce((sum, end) => sum + end, 0n)

test('server keys, browser keys from their pages, and tokens may write', async () => {
  const earlier = await records()
  const token = await signer.token(Date.now())
  for (const response of [
    await post(bearer(server.text)),
    await post({ 'X-API-Key': server.text }),
    await post({ ...bearer(browser.text), Origin: SHOP }),
    await post({ Origin: SHOP }, `/event?key=${browser.text}`),
    await post(bearer(token)),
    await post(bearer(server.text), '/events', `[${EVENT},${EVENT}]`),
  ])
    assert.equal(response.status, 202, await response.text())
  assert.equal(await records(), earlier + 7n)
})

test('what has no valid credential of the right kind is refused, each in its own words', async () => {
  const earlier = await records()
  const token = await signer.token(Date.now())
  const typo = `${server.text.slice(0, -1)}${server.text.endsWith('0') ? '1' : '0'}`
  const cases: [headers: Record<string, string>, status: number, detail: RegExp, path?: string][] = [
    [{}, 401, /A key or a token is needed/],
    [bearer(revoked.text), 401, /not known .* less than 5 s old/],
    [bearer(expired.text), 401, /key has expired.* new/],
    [bearer(typo), 401, /typing error.* copy/],
    [bearer('abc'), 401, /not a JWT|not a key/i],
    [bearer(await foreign.token(Date.now())), 401, /signature/],
    [bearer(await signer.token(Date.now() - 3_600_000)), 401, /expired/],
    [{ Authorization: `Basic ${btoa(`x:${server.text}`)}` }, 401, /must be "Bearer"/],
    [{ ...bearer(server.text), 'X-API-Key': server.text }, 401, /one credential/],
    [bearer(server.text), 401, /one credential/, `/event?key=${server.text}`],
    [bearer(read.text), 403, /of this kind/],
    [bearer(operate.text), 403, /of this kind/],
    [{ ...bearer(server.text), Origin: SHOP }, 403, /Server keys may not be used by pages/],
    [{}, 403, /Only browser keys/, `/event?key=${server.text}`],
    [bearer(browser.text), 403, /need an Origin/],
    [{ ...bearer(browser.text), Origin: 'https://evil.example' }, 403, /Pages of this origin/],
    [{ ...bearer(browser.text), Origin: 'null' }, 403, /Pages of this origin .* key file/],
    [{ ...bearer(token), Origin: 'https://evil.example' }, 403, /CORS_ORIGINS/],
    [{}, 401, /not a key .* begins with "fh_"/, `/event?key=${token}`],
  ]
  for (const [headers, status, detail, path] of cases) {
    const response = await post(headers, path)
    const kind =
      status === 401 ? 'unauthorized' : detail.source === 'CORS_ORIGINS' ? 'foreign-origin' : 'forbidden'
    const problem = await problemOf(response, status, kind)
    assert.match(problem.detail, detail)
    if (status === 401)
      assert.match(response.headers.get('www-authenticate') ?? '', /^Bearer realm="firehose"/)
  }
  assert.equal(await records(), earlier)
})

test('I10: no request without a valid credential changes the topic, in whatever form it comes', async () => {
  const earlier = await records()
  const wrong = fc.constantFrom(
    '',
    `Authorization: Bearer ${revoked.text}\r\n`,
    `Authorization: Bearer ${expired.text}\r\n`,
    `Authorization: Bearer ${read.text}\r\n`,
    `Authorization: Basic ${btoa(server.text)}\r\n`,
    `Authorization: ${server.text}\r\n`,
    `Authorization: Bearer\r\nAuthorization: Bearer ${server.text}\r\n`,
    `Authorization: Bearer ${server.text}\r\nAuthorization: Bearer ${server.text}\r\n`,
    `X-API-Key: ${revoked.text}\r\nX-API-Key: ${server.text}\r\n`,
    `Cookie: key=${server.text}\r\n`,
    `Authorization: Bearer ${server.text}\r\nOrigin: ${SHOP}\r\n`,
    `Authorization: Bearer ${browser.text}\r\n`,
    `Authorization: Bearer ${browser.text}\r\nOrigin: https://evil.example\r\n`,
    `Authorization: Bearer ${server.text} \u00a0\r\n`,
    `X-Forwarded-Authorization: Bearer ${server.text}\r\n`,
  )
  const target = fc.constantFrom(
    '/event',
    '/events',
    '/event?',
    '/event?x=1',
    `/event?key=${server.text}`,
    `/event?KEY=${browser.text}`,
    `/event#key=${server.text}`,
    `//event`,
    `/event/`,
    `/Event`,
    `/%65vent`,
    `/events/../event`,
    `http://x/event`,
    `http://x/event?key=${revoked.text}`,
  )
  const method = fc.constantFrom('POST', 'PUT', 'PATCH', 'GET', 'OPTIONS', 'HEAD', 'DELETE')
  const form = fc.constantFrom('plain', 'chunked', 'expect', 'text', 'binary CloudEvent', 'override')
  const requests = fc.array(fc.tuple(method, target, wrong, form), { minLength: 1, maxLength: 12 })
  await fc.assert(
    fc.asyncProperty(requests, async (sent) => {
      const all = sent.map((each) => requestText(...each)).join('')
      // Several on one connection: the answer to the last one ends it.
      const last = `GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`
      const answers = await rawExchange(api.url, [all + last])
      assert.doesNotMatch(answers, /^HTTP\/1\.1 202/m)
    }),
    { numRuns: 300 },
  )
  assert.equal(await records(), earlier)
})

function requestText(method: string, target: string, credential: string, form: string): string {
  const line = `${method} ${target} HTTP/1.1\r\nHost: x\r\n${credential}`
  const length = `Content-Length: ${EVENT.length}\r\n`
  const json = 'Content-Type: application/json\r\n'
  switch (form) {
    case 'chunked':
      return `${line}${json}Transfer-Encoding: chunked\r\n\r\n${EVENT.length.toString(16)}\r\n${EVENT}\r\n0\r\n\r\n`
    case 'expect':
      return `${line}${json}${length}Expect: 100-continue\r\n\r\n${EVENT}`
    case 'text':
      return `${line}Content-Type: text/plain\r\n${length}\r\n${EVENT}`
    case 'binary CloudEvent':
      return `${line}${json}ce-specversion: 1.0\r\nce-id: 1\r\nce-source: /x\r\nce-type: x\r\nce-subject: 1\r\n${length}\r\n${EVENT}`
    case 'override':
      return `${line}${json}X-HTTP-Method-Override: POST\r\n${length}\r\n${EVENT}`
    default:
      return `${line}${json}${length}\r\n${EVENT}`
  }
}

test('each refusal can be read by the page that caused it', async () => {
  const large = `{"user_id":1,"timestamp":"2025-01-31T12:00:00Z","metadata":{"x":"${'x'.repeat(2_000_000)}"}}`
  const responses = [
    await post({ Origin: SHOP }),
    await post({ ...bearer(server.text), Origin: SHOP }),
    await post({ ...bearer(browser.text), Origin: SHOP }, '/event', large),
    await post({ ...bearer(browser.text), Origin: SHOP, 'X-Large': 'x'.repeat(17_000) }),
    await post({ ...bearer(browser.text), Origin: SHOP }, '/event', '{}'),
  ]
  assert.deepEqual(
    responses.map(({ status, headers }) => [status, headers.get('access-control-allow-origin')]),
    [401, 403, 413, 431, 422].map((status) => [status, SHOP]),
  )
})

test('preflights are allowed for the origins of CORS_ORIGINS and of live browser keys, without a key', async () => {
  const preflight = (origin: string): Promise<Response> =>
    fetch(`${api.url}/event`, {
      method: 'OPTIONS',
      headers: {
        Origin: origin,
        'Access-Control-Request-Method': 'POST',
        'Access-Control-Request-Headers': 'authorization,content-type,x-api-key',
      },
    })
  const shop = await preflight(SHOP)
  assert.equal(shop.status, 204)
  assert.equal(shop.headers.get('access-control-allow-origin'), SHOP)
  assert.equal(shop.headers.get('access-control-allow-credentials'), 'true')
  assert.match(shop.headers.get('access-control-allow-headers') ?? '', /authorization/i)
  const wild = await preflight('https://a.wild.example')
  assert.equal(wild.headers.get('access-control-allow-origin'), 'https://a.wild.example')
  assert.equal(wild.headers.get('access-control-allow-credentials'), null)
  assert.equal((await preflight('https://evil.example')).headers.get('access-control-allow-origin'), null)
})
