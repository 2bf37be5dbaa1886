import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { pageOrigins } from '../../../../producer-api/http/page-origins.ts'
import { createHttpServer } from '../../../../producer-api/http/server.ts'
import { MemoryBudget } from '../../../../producer-api/memory-budget.ts'
import { isAlone } from '../../../../producer-api/http/pipeline-limit.ts'
import { closed, httpRequest, sent } from '../../../support/clients.ts'
import { until } from '../../../support/until.ts'

/** A server that responds on demand, the pending responses, and the number of disconnected clients. */
async function slowServer(t: TestContext, pending = new MemoryBudget(128 * 1024 * 1024), readsBodies = true) {
  const taken: ServerResponse[] = []
  const bodies: string[] = []
  const counts = { cut: 0, handled: 0 }
  const { server, endIdle } = createHttpServer(
    (request, response) => {
      counts.handled += 1
      if (!readsBodies) {
        taken.push(response)
        return
      }
      let body = ''
      request.on('data', (chunk: Buffer) => (body += chunk.toString('latin1')))
      request.once('end', () => {
        bodies.push(body)
        taken.push(response)
      })
    },
    {
      requestTimeoutMs: 30_000,
      deliveryTimeoutMs: 10_000,
      keepAliveMs: 75_000,
      headLimits: { maxHeaders: 100, maxHeaderBytes: 16_384 },
      pageOrigins: pageOrigins([]),
      maxConnections: 1_000,
      pending,
      onCut: () => (counts.cut += 1),
      onRefused: () => {},
    },
  )
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.close()
    server.closeAllConnections()
  })
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, taken, bodies, counts, endIdle }
}

const SHORT = 'POST / HTTP/1.1\r\nHost: x\r\n\r\n'
/** Bytes charged for a waiting request: 4 KiB, "/", and the strings "Host" and "x". */
const SHORT_WAITING_BYTES = 4_096 + 1 + 4 + 1 + 2 * 56
/** Half of what Node reads at once, so that a body is split at any position. */
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

test('I7: more short requests than can be held close the connection, and those held are not handled', async (t) => {
  const { url, counts } = await slowServer(t)
  const { socket } = await sent(url, SHORT.repeat(2_000))
  await closed(socket)
  assert.deepEqual(counts, { cut: 1, handled: 100 })
})

test('I7: the requests waiting on all connections together are bounded', async (t) => {
  const { url, counts } = await slowServer(t, new MemoryBudget(40 * 500 * SHORT_WAITING_BYTES))
  const clients = await Promise.all(
    Array.from({ length: 45 }, async () => await sent(url, SHORT.repeat(600))),
  )
  await until('a client to be disconnected', () => counts.cut > 0)
  await until(
    'all requests to be handled or clients disconnected',
    () => counts.handled === 45 * 100 || counts.cut === 5,
  )
  assert.equal(counts.cut, 5) // 40 x 500 wait
  for (const { socket } of clients) socket.destroy()
  await until('their memory to be released', async () => {
    const { cut } = counts
    const { socket } = await sent(url, SHORT.repeat(600))
    await until('taken', () => counts.handled > 45 * 100 || counts.cut > cut)
    socket.destroy()
    return counts.cut === cut
  })
})

test('I8: a response that closes its connection is sent after those of the requests before and after it', async (t) => {
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
    endIdle() // as the service does while draining
    return socket.destroyed || socket.readableEnded
  })
  assert.match(received(), /\r\n149;$/)
})

test('I7: other requests than POST, whose responses may be long, are handled one at a time and in order', async (t) => {
  const { url, taken, counts } = await slowServer(t)
  const { socket, received } = await sent(url, SHORT + SHORT.replace('POST', 'GET').repeat(3) + SHORT)
  let answered = 0
  for (const handled of [1, 2, 3, 5]) {
    await until('the next', () => counts.handled === handled)
    await until('its end', () => taken.length === handled - answered)
    for (const response of taken.splice(0)) response.end(`${answered++};`)
  }
  await until('the last answer', () => received().endsWith('4;'))
  assert.deepEqual(
    [...received().matchAll(/\r\n(\d);/g)].map((match) => match[1]),
    ['0', '1', '2', '3', '4'],
  )
  socket.destroy()
})

/** A request with chunks of one byte. Not a POST, so that it waits for the one that is handled. */
function inTinyChunks(body: string): string {
  const chunks = Array.from(body, (byte) => `1\r\n${byte}\r\n`).join('')
  return `PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}0\r\n\r\n`
}

for (const isRead of [true, false]) {
  test(`a partial body of a waiting request is ${isRead ? 'read in full' : 'discarded if the handler does not read it'}`, async (t) => {
    const pending = new MemoryBudget(1_000_000)
    const { url, taken, bodies } = await slowServer(t, pending, isRead)
    // More than Node buffers of an unread body; the first part is within the 64 KiB that it reads at once.
    const body = 'abcdefghij'.repeat(8_000)
    const request = inTinyChunks(body)
    const first = request.slice(0, 60_000)
    const { socket, received } = await sent(url, SHORT + first)
    await until('the first part', () => pending.usedBytes > 4_096 + 9_000)
    assert.ok(pending.usedBytes < 4_096 + 10_400, `${pending.usedBytes}`)
    await until('the first', () => taken.length === 1)
    taken.shift()?.end('0;')
    await until('its turn', () => pending.usedBytes === 0)
    if (!isRead) {
      await until('the second', () => taken.length === 1)
      taken.shift()?.end('1;')
      await until('its answer', () => received().includes('1;'))
    }
    socket.write(request.slice(first.length) + SHORT)
    await until('the rest', () => taken.length === (isRead ? 2 : 1))
    for (const response of taken.splice(0)) response.end(';')
    await until('the last answer', () => received().split(';').length === 4)
    assert.deepEqual(bodies, isRead ? ['', body, ''] : [])
    socket.destroy()
  })
}

test('I7: compressed bodies, whose responses may be larger than the body, are handled one at a time', async (t) => {
  const { url, taken, counts } = await slowServer(t)
  const compressed = SHORT.replace('Host', 'Content-Encoding: gzip\r\nHost')
  const { socket, received } = await sent(url, compressed.repeat(3))
  for (const handled of [1, 2, 3]) {
    await until('the next', () => taken.length === 1)
    assert.equal(counts.handled, handled)
    taken.shift()?.end(`${handled};`)
  }
  await until('the last answer', () => received().endsWith('3;'))
  socket.destroy()
})
