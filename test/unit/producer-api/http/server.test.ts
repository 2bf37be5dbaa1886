import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { test } from 'node:test'
import { pageOrigins } from '../../../../producer-api/http/page-origins.ts'
import { createHttpServer } from '../../../../producer-api/http/server.ts'
import { MemoryBudget } from '../../../../producer-api/memory-budget.ts'
import { closed, sent } from '../../../support/clients.ts'
import { until } from '../../../support/until.ts'

test('I7: above MAX_CONNECTIONS a connection is closed at once and counted; a closed one makes room', async (t) => {
  let refused = 0
  const { server } = createHttpServer((_request, response) => response.end('well'), {
    requestTimeoutMs: 30_000,
    deliveryTimeoutMs: 10_000,
    keepAliveMs: 75_000,
    headLimits: { maxHeaders: 100, maxHeaderBytes: 16_384 },
    pageOrigins: pageOrigins([]),
    maxConnections: 3,
    pending: new MemoryBudget(1_000_000),
    onCut: () => {},
    onRefused: () => (refused += 1),
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = server.address() as AddressInfo
  const get = () => sent(`http://127.0.0.1:${port}`, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n')
  const clients = await Promise.all([get(), get(), get()])
  await until('the answers', () => clients.every(({ received }) => received().endsWith('well')))
  const { socket, received } = await get()
  await closed(socket)
  assert.equal(received(), '')
  assert.equal(refused, 1)
  clients[0]?.socket.destroy()
  await until('room', async () => {
    const next = await get()
    await until('an answer or the end', () => next.received() !== '' || next.socket.closed)
    return next.received().endsWith('well')
  })
})
