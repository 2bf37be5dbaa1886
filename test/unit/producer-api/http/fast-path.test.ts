import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { readApiConfig } from '../../../../producer-api/config.ts'
import { PublishError } from '../../../../producer-api/delivery/publisher.ts'
import { createService } from '../../../../producer-api/service.ts'
import { createLogger } from '../../../../platform/log.ts'

const ID = '0198c0de-7a5b-7000-8000-0123456789a'
const event = (n: number, user = '1'): string =>
  `{"event_id":"${ID}${n}","user_id":${user},"timestamp":"2025-01-31T12:00:00Z","metadata":{}}`
const LINES = 'application/x-ndjson'

/** The responses to each request without the times. The publisher refuses events of user 13. */
async function answers(env: NodeJS.ProcessEnv, requests: [string, string, string][]): Promise<object[]> {
  const publisher = {
    connect: (onAvailable: () => void) => onAvailable(),
    availablePartitions: () => [0],
    publish: async (_partition: number, sent: readonly { bytes: Buffer }[]) => {
      if (!sent.some(({ bytes }) => bytes.includes('"user_id":13,'))) return { baseOffset: 0n }
      throw new PublishError('no', { code: 'NO', retryable: false, mayHaveWritten: false })
    },
    ready: () => ({ ok: true }) as const,
    close: async () => {},
  }
  const service = createService(readApiConfig(env), publisher, createLogger('test', 'silent'))
  service.connect()
  service.server.listen(0, '127.0.0.1')
  await once(service.server, 'listening')
  const { port } = service.server.address() as AddressInfo
  const seen: object[] = []
  try {
    for (const [path, type, body] of requests) {
      const headers = { 'Content-Type': type, 'X-Request-Id': 'r-1' }
      const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
        method: 'POST',
        body,
        headers,
        signal: AbortSignal.timeout(10_000),
      })
      const told = [...answer.headers].filter(([name]) => name !== 'date' && name !== 'vary')
      seen.push({ status: answer.status, headers: told, body: await answer.text() })
    }
  } finally {
    await service.drain()
  }
  return seen
}

test('clients get the same responses from the fast path and from Koa', async () => {
  const requests: [string, string, string][] = [
    ['/event', 'application/json', event(1)],
    ['/event', 'text/plain', event(1)],
    ['/events', LINES, [1, 2, 3].map((n) => event(n)).join('\n')],
    ['/events', 'application/json', `[${event(4)},${event(5, '-0')}]`],
    ['/event', 'application/json', event(1, '13')],
    ['/events', LINES, `${event(6)}\n${event(7, '13')}`],
    ['/events', LINES, `${event(8)}\n${event(9, '"1"')}`],
    ['/events', LINES, '\n'],
    ['/events', 'text/plain', event(1)],
    ['/events', LINES, '{'],
  ]
  const fast = await answers({}, requests)
  // With CORS all requests go through Koa.
  const koa = await answers({ CORS_ORIGINS: 'https://shop.example' }, requests)
  assert.deepEqual(fast, koa)
  assert.deepEqual(
    fast.map((answer) => Reflect.get(answer, 'status')),
    [202, 202, 202, 202, 503, 503, 422, 422, 415, 400],
  )
  const accepted: string = Reflect.get(fast[2] ?? {}, 'body')
  assert.equal(accepted, `{"status":"accepted","count":3,"event_ids":["${ID}1","${ID}2","${ID}3"]}`)
  const refused = JSON.parse(Reflect.get(fast[5] ?? {}, 'body'))
  assert.deepEqual(refused.event_ids, [`${ID}6`, `${ID}7`])
})
