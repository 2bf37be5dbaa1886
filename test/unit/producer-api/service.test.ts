import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import type { ApiService } from '../../../producer-api/service.ts'
import { listeningService } from '../../support/api-service.ts'
import { rawExchange } from '../../support/http.ts'

/* The API's shell around HTTP, with a publisher that always succeeds. */

const EVENT = '{"user_id":1,"timestamp":"2025-01-31T12:00:00Z","metadata":{}}'

async function listening(
  t: TestContext,
  env: NodeJS.ProcessEnv,
): Promise<{ url: string; service: ApiService }> {
  const { service, port } = await listeningService(env)
  t.after(() => {
    service.server.close()
    service.server.closeAllConnections()
  })
  return { url: `http://127.0.0.1:${port}`, service }
}

test('for SHUTDOWN_DELAY_MS the API is not ready, and still takes new connections and events', async (t) => {
  const { url, service } = await listening(t, { SHUTDOWN_DELAY_MS: '500' })
  const post = () => fetch(`${url}/event`, { method: 'POST', body: EVENT })
  assert.equal((await fetch(`${url}/readyz`)).status, 200)
  const drained = service.drain()
  const ready = await fetch(`${url}/readyz`)
  assert.deepEqual(
    [ready.status, ((await ready.json()) as { reason: string }).reason],
    [503, 'shutting down'],
  )
  const accepted = await post()
  assert.deepEqual([accepted.status, accepted.headers.get('connection')], [202, 'keep-alive'])
  await drained
  await assert.rejects(post())
})

test('the keep-alive time and the limits of headers are settings', async (t) => {
  const { url } = await listening(t, {
    KEEP_ALIVE_TIMEOUT_MS: '9000',
    MAX_HEADERS: '20',
    MAX_HEADER_BYTES: '2048',
  })
  const withHeaders = (count: number, bytes: number): Promise<Response> =>
    fetch(`${url}/livez`, {
      headers: Object.fromEntries(Array.from({ length: count }, (_, n) => [`X-${n}`, 'a'.repeat(bytes)])),
    })
  const fine = await withHeaders(5, 10)
  assert.deepEqual([fine.status, fine.headers.get('keep-alive')], [200, 'timeout=9'])
  const tooMany = await withHeaders(21, 1)
  assert.equal(tooMany.status, 431)
  assert.match(await tooMany.text(), /at most 20 headers/)
  const tooLarge = await withHeaders(3, 1_000)
  assert.equal(tooLarge.status, 431)
  assert.match(await tooLarge.text(), /at most 20 headers of at most 2048 bytes/)
})

test('a page can read every refusal: 413 and 431 have the headers of CORS', async (t) => {
  for (const [origins, expected] of [
    ['https://*.shop.example', 'https://www.shop.example'],
    ['*', '*'],
  ] as const) {
    const { url } = await listening(t, { CORS_ORIGINS: origins })
    const head = `POST /event HTTP/1.1\r\nHost: x\r\nOrigin: https://www.shop.example\r\n`
    const many = Array.from({ length: 120 }, (_, n) => `X-${n}: 1\r\n`).join('')
    for (const [status, rest] of [
      [431, `${many}Content-Length: 2\r\n\r\n{}`],
      [431, `X: ${'a'.repeat(20_000)}\r\n\r\n`],
      [413, 'Content-Length: 999999\r\n\r\n'],
      [413, `Transfer-Encoding: chunked\r\n\r\n1;${'a'.repeat(20_000)}\r\n`],
      [400, 'Content-Length: 1\r\nBroken header\r\n\r\n'],
    ] as const) {
      // In one piece, and in two.
      const pieces = [head + rest.slice(0, 9_000), rest.slice(9_000)].filter((piece) => piece !== '')
      const answer = await rawExchange(url, pieces, (text) => text.endsWith('}'))
      assert.match(answer, new RegExp(`^HTTP/1.1 ${status} `), rest.slice(0, 40))
      assert.match(
        answer,
        new RegExp(`\r\nAccess-Control-Allow-Origin: ${expected.replace('*', '\\*')}\r\n`, 'i'),
      )
    }
  }
})
