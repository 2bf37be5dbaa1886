import assert from 'node:assert/strict'
import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { test } from 'node:test'
import { KeyStore } from '../../../../access/key-store.ts'
import { createLogger } from '../../../../platform/log.ts'
import type { Publisher } from '../../../../producer-api/delivery/publisher.ts'
import { PublishError } from '../../../../producer-api/errors.ts'
import { listeningService } from '../../../support/api-service.ts'
import { KeyFileFixture, makeKey } from '../../../support/key-files.ts'

const ID = '0198c0de-7a5b-7000-8000-0123456789a'
const event = (n: number, user = '1'): string =>
  `{"event_id":"${ID}${n}","user_id":${user},"timestamp":"2025-01-31T12:00:00Z","metadata":{}}`
const LINES = 'application/x-ndjson'

type Request = [path: string, type: string, body: string, origin?: string | undefined]

/**
 * The responses to each request without the times. The publisher refuses events of user 13.
 *
 * @param by Koa also gets what the fast path does not take: requests with an absolute URL (RFC 9112, 3.2.2)
 */
async function answers(
  by: 'koa' | 'fast path',
  env: NodeJS.ProcessEnv,
  requests: readonly Request[],
): Promise<object[]> {
  const publish: Publisher['publish'] = async (_partition, sent) => {
    if (!sent.some(({ bytes }) => bytes.includes('"user_id":13,'))) return { baseOffset: 0n }
    throw new PublishError('no', { code: 'NO', retryable: false, mayHaveWritten: false })
  }
  const keysFile = env.API_KEYS_FILE
  const keys = keysFile === undefined ? undefined : KeyStore.open(keysFile, createLogger('test', 'silent'))
  const { service, port } = await listeningService(env, publish, keys)
  const seen: object[] = []
  try {
    for (const [path, type, body, origin] of requests) {
      const sending = httpRequest({
        port,
        host: '127.0.0.1',
        method: 'POST',
        path: by === 'koa' ? `http://127.0.0.1:${port}${path}` : path,
        headers: {
          'Content-Type': type,
          'X-Request-Id': 'r-1',
          ...(origin === undefined ? {} : { Origin: origin }),
        },
        timeout: 10_000,
      }).end(body)
      const [answer] = (await once(sending, 'response')) as [IncomingMessage]
      const { date: _, ...headers } = answer.headers
      seen.push({
        status: answer.statusCode,
        headers,
        body: Buffer.concat(await answer.toArray()).toString(),
      })
    }
  } finally {
    await service.drain()
  }
  return seen
}

test('clients get the same responses from the fast path and from Koa', async () => {
  const requests: Request[] = [
    ['/event', 'application/json', event(1)],
    ['/event', 'text/plain', event(1)],
    ['/events', LINES, [1, 2, 3].map((n) => event(n)).join('\n')],
    ['/events', 'application/json', `[${event(4)},${event(5, '-0')}]`],
    ['/event', 'application/json', event(1, '13')],
    ['/events', LINES, `${event(6)}\n${event(7, '13')}`],
    ['/events', LINES, `${event(8)}\n${event(9, '"x"')}`],
    ['/events', LINES, '\n'],
    ['/events', 'text/plain', event(1)],
    ['/events', LINES, '{'],
  ]
  const fast = await answers('fast path', {}, requests)
  assert.deepEqual(fast, await answers('koa', {}, requests))
  assert.deepEqual(
    fast.map((answer) => Reflect.get(answer, 'status')),
    [202, 202, 202, 202, 503, 503, 422, 422, 422, 400],
  )
  const accepted: string = Reflect.get(fast[2] ?? {}, 'body')
  assert.equal(accepted, `{"status":"accepted","count":3,"event_ids":["${ID}1","${ID}2","${ID}3"]}`)
  const refused = JSON.parse(Reflect.get(fast[5] ?? {}, 'body'))
  assert.deepEqual(refused.event_ids, [`${ID}6`, `${ID}7`])
})

test('with a query or an Origin, too, the fast path answers as Koa does', async () => {
  const requests: Request[] = [undefined, 'https://shop.example', 'https://evil.example'].flatMap((origin) =>
    ['/event', '/event?', '/event?a=1&b=/events', '/event/', '/event%3f', '/eventful?x'].map(
      (path): Request => [path, 'application/json', event(1), origin],
    ),
  )
  for (const env of [
    { CORS_ORIGINS: '' },
    { CORS_ORIGINS: '*' },
    { CORS_ORIGINS: 'https://shop.example, https://*.a.example' },
    { CORS_ORIGINS: 'https://shop.example, https://a.example' },
  ]) {
    const fast = await answers('fast path', env, requests)
    assert.deepEqual(fast, await answers('koa', env, requests))
    const statuses = fast.map((answer): unknown => Reflect.get(answer, 'status'))
    const isList = env.CORS_ORIGINS.startsWith('https')
    assert.deepEqual(
      statuses,
      [202, 202, isList ? 403 : 202].flatMap((status) => [status, status, status, 404, 404, 404]),
    )
  }
  const [answer] = await answers('fast path', { CORS_ORIGINS: 'https://shop.example' }, requests.slice(6))
  const headers = Reflect.get(answer ?? {}, 'headers') as Record<string, string>
  assert.equal(headers['access-control-allow-origin'], 'https://shop.example')
  assert.equal(headers['access-control-allow-credentials'], 'true')
  assert.equal(headers.vary, 'Origin')
})

test('with a key in the query, too, the fast path answers as Koa does, whatever CORS_ORIGINS is', async (t) => {
  const shop = 'https://shop.example'
  const key = makeKey('shop', 'browser', { origins: [shop, 'https://*.a.example'] })
  const { path } = KeyFileFixture.of(t, key)
  const origins = [shop, 'https://x.a.example', 'https://evil.example', undefined]
  const requests = origins.map(
    (origin): Request => [`/event?key=${key.text}`, 'application/json', event(1), origin],
  )
  for (const CORS_ORIGINS of ['', '*', 'https://x.a.example']) {
    const env = { API_KEYS_FILE: path, CORS_ORIGINS }
    const fast = await answers('fast path', env, requests)
    assert.deepEqual(fast, await answers('koa', env, requests))
    assert.deepEqual(
      fast.map((answer): unknown => Reflect.get(answer, 'status')),
      [202, 202, 403, 403],
    )
    const headers = Reflect.get(fast[0]!, 'headers') as Record<string, string>
    assert.equal(headers['access-control-allow-origin'], shop)
    assert.equal(headers['access-control-allow-credentials'], 'true')
  }
})
