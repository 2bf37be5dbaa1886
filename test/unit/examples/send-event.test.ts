import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

/* Retries and backoff of the example client. For tests against the API see client-snippet.test.ts. */

type SendEvent = (
  apiUrl: string,
  event: object,
  options?: { apiKey?: string | undefined; timeoutMs?: number; maxAttempts?: number },
) => Promise<string>
const snippet = new URL('../../../examples/send-event.mjs', import.meta.url).href
const { sendEvent }: { sendEvent: SendEvent } = await import(snippet)

test('sendEvent() backs off exponentially with jitter, and waits at least as long as Retry-After', async (t) => {
  const status = (code: number, headers = {}) => new Response('', { status: code, headers })
  const script = [
    () => Promise.reject(new TypeError('fetch failed')),
    () => status(500),
    () => status(408),
    () => status(429, { 'Retry-After': '7' }),
    noAnswer,
    () => status(503, { 'Retry-After': 'Wed, 21 Oct 2015 07:28:00 GMT' }),
    () => status(503, { 'Retry-After': 'Wed, 21 Oct 2015 07:28:09 GMT' }),
    () => status(503, { 'Retry-After': '0' }),
    () => status(202),
  ]
  const bodies: unknown[] = []
  t.mock.method(globalThis, 'fetch', async (_: URL, init: RequestInit) => {
    bodies.push(init.body)
    return await script.shift()?.(init)
  })
  const waits = recordWaits(t)
  t.mock.method(Math, 'random', () => 1)
  t.mock.method(Date, 'now', () => Date.UTC(2015, 9, 21, 7, 28, 4))
  await sendEvent('http://api.example', { user_id: 1, metadata: {} }, { timeoutMs: 50 })
  assert.deepEqual(waits, [250, 500, 1_000, 7_000 + 2_000, 4_000, 8_000, 5_000 + 16_000, 30_000])
  assert.equal(bodies.length, 9)
  assert.equal(new Set(bodies).size, 1)
})

test('the backoff of sendEvent() is at most 30 s, and it gives up after maxAttempts', async (t) => {
  t.mock.method(globalThis, 'fetch', async () => new Response('', { status: 503 }))
  const waits = recordWaits(t)
  const sent = sendEvent('http://api.example', { user_id: 1, metadata: {} }, { maxAttempts: 12 })
  await assert.rejects(sent, /: 503/)
  assert.equal(waits.length, 11)
  for (const [n, wait] of waits.entries()) {
    const longest = Math.min(250 * 2 ** n, 30_000)
    assert.ok(wait >= longest / 2 && wait <= longest, `wait ${n + 1}: ${wait} ms`)
  }
  assert.equal(new Set(waits.slice(-4)).size, 4, 'no two clients wait the same time')
})

test('sendEvent() keeps a given id, and fails at once on a permanent error', async (t) => {
  for (const status of [200, 400, 401, 403, 404, 413, 415, 422]) {
    const fetched = t.mock.method(globalThis, 'fetch', async () => new Response('why', { status }))
    const sent = sendEvent('http://api.example', { event_id: 'mine', user_id: 1, metadata: {} })
    await assert.rejects(sent, { message: `Event mine: ${status} why` })
    assert.equal(fetched.mock.callCount(), 1)
  }
})

test('sendEvent() makes an id and a timestamp also if the event has null or undefined there', async (t) => {
  let body: Record<string, string> = {}
  t.mock.method(globalThis, 'fetch', async (_: URL, init: { body: string }) => {
    body = JSON.parse(init.body)
    return new Response('', { status: 202 })
  })
  for (const missing of [undefined, null]) {
    const id = await sendEvent('http://api.example', { event_id: missing, timestamp: missing, metadata: {} })
    assert.equal(body.event_id, id)
    assert.ok(Math.abs(Date.parse(body.timestamp ?? '') - Date.now()) < 60_000, body.timestamp)
  }
})

test('sendEvent() sends a key with each attempt, and nothing without one', async (t) => {
  const sent: unknown[] = []
  t.mock.method(globalThis, 'fetch', async (_: URL, { headers }: RequestInit) => {
    sent.push(headers)
    return new Response('', { status: sent.length === 1 ? 500 : 202 })
  })
  recordWaits(t)
  await sendEvent('http://api.example', { metadata: {} }, { apiKey: 'fh_server_a' })
  for (const apiKey of [undefined, '']) await sendEvent('http://api.example', { metadata: {} }, { apiKey })
  const json = { 'Content-Type': 'application/json' }
  const withKey = { ...json, Authorization: 'Bearer fh_server_a' }
  assert.deepEqual(sent, [withKey, withKey, json, json])
})

/** A request that hangs until its timeout; rejects after 5 s if there is none. */
function noAnswer({ signal }: RequestInit): Promise<Response> {
  return new Promise((resolve, reject) => {
    // An interval, because setTimeout() is mocked here.
    const limit = setInterval(() => {
      clearInterval(limit)
      resolve(new Response('no time limit', { status: 400 }))
    }, 5_000)
    signal?.addEventListener('abort', () => {
      clearInterval(limit)
      reject(signal.reason)
    })
  })
}

/** Mocks setTimeout() to record the delays and call back at once. */
function recordWaits(t: TestContext): number[] {
  const waits: number[] = []
  const { setImmediate } = globalThis
  t.mock.method(globalThis, 'setTimeout', (callback: () => void, ms: number) => {
    waits.push(ms)
    return setImmediate(callback)
  })
  return waits
}
