import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { createHttpServer } from '../../../producer-api/http-server.ts'
import { isAlone } from '../../../producer-api/pipelining.ts'
import { closed, httpRequest, sent } from '../../support/clients.ts'
import { until } from '../../support/until.ts'

/** A server that answers when it is told to; what it has not answered, and how often it has cut a client off. */
async function slowServer(t: TestContext) {
  const taken: ServerResponse[] = []
  const counts = { cut: 0, handled: 0 }
  const { server, endIdle } = createHttpServer(
    (request, response) => {
      counts.handled += 1
      request.resume().once('end', () => taken.push(response))
    },
    { requestTimeoutMs: 30_000, deliveryTimeoutMs: 10_000, onCut: () => (counts.cut += 1) },
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, taken, counts, endIdle }
}

const SHORT = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'
/** Half of what Node reads at once, so that a body is cut off wherever it is. */
const LONG = httpRequest('/', 'x'.repeat(30_000))

for (const [name, request, count] of [
  ['short', SHORT, 600],
  ['long', LONG, 150],
  ['event-like', httpRequest('/', 'x'.repeat(100)), 3_000],
] as const) {
  test(`I7: ${count} ${name} pipelined requests: 100 are handled at once, all are answered`, async (t) => {
    const { url, taken, counts } = await slowServer(t)
    const { socket, received } = await sent(url, request.repeat(count))
    await until('the first', () => counts.handled === 100)
    let answered = 0
    let most = 0
    await until('the last', () => {
      most = Math.max(most, counts.handled - answered)
      for (const response of taken.splice(0)) {
        response.end(`${answered};`)
        answered += 1
      }
      return answered === count
    })
    await until('the last answer', () => received().endsWith(`${count - 1};`))
    assert.equal(most, 100)
    assert.equal(counts.cut, 0)
    const bodies = [...received().matchAll(/\r\n(\d+);/g)].map((match) => Number(match[1]))
    assert.deepEqual(
      bodies,
      Array.from({ length: count }, (_, n) => n),
    )
    socket.destroy()
  })
}

test('I7: more short requests at once than are held end the connection, and what was held is not handled', async (t) => {
  const { url, counts } = await slowServer(t)
  const { socket } = await sent(url, SHORT.repeat(2_000))
  await closed(socket)
  assert.deepEqual(counts, { cut: 1, handled: 100 })
})

test('I7: the requests that wait on all connections together are bounded, too', async (t) => {
  const { url, counts } = await slowServer(t)
  const clients = await Promise.all(
    Array.from({ length: 45 }, async () => await sent(url, SHORT.repeat(600))),
  )
  await until('some are cut off', () => counts.cut > 0)
  await until('all are taken or cut off', () => counts.handled === 45 * 100 || counts.cut === 5)
  assert.equal(counts.cut, 5) // 40 x 500 wait
  for (const { socket } of clients) socket.destroy()
  await until('they are forgotten', async () => {
    const { cut } = counts
    const { socket } = await sent(url, SHORT.repeat(600))
    await until('taken', () => counts.handled > 45 * 100 || counts.cut > cut)
    socket.destroy()
    return counts.cut === cut
  })
})

test('I8: an answer that ends its connection comes behind those of the requests before and after it', async (t) => {
  const { url, taken, counts, endIdle } = await slowServer(t)
  const { socket, received } = await sent(url, SHORT.repeat(150))
  await until('the first', () => counts.handled === 100)
  let answered = 0
  await until('the last', () => {
    for (const response of taken.splice(0)) {
      if (isAlone(response.req)) response.setHeader('Connection', 'close')
      response.end(`${answered};`)
      answered += 1
    }
    return answered === 150 || socket.destroyed || socket.readableEnded
  })
  assert.equal(answered, 150)
  await until('the connection ends', () => {
    endIdle() // as the service does when it drains
    return socket.destroyed || socket.readableEnded
  })
  assert.match(received(), /\r\n149;$/)
})
