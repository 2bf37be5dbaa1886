import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import type { NodeService } from '../../embedded/node-service.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { closed, httpRequest, sent } from '../support/clients.ts'
import { rawExchange, rawProblem } from '../support/http.ts'
import { until } from '../support/until.ts'

/* Requests with a wrong or ambiguous end. For simple cases see test/integration/http-parser.test.ts. */

let pipeline: Pipeline
let api: NodeService

before(async () => {
  pipeline = await Pipeline.start()
  api = await pipeline.startApi({ REQUEST_TIMEOUT_MS: '2000' })
})
after(async () => {
  await pipeline?.close()
})

const EVENT = '{"user_id":1,"timestamp":"2025-01-31T12:00:00Z","metadata":{}}'
const HEAD = 'POST /event HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n'
const CHUNKED = `${HEAD}Transfer-Encoding: chunked\r\n\r\n`
const statusesIn = (answer: string) => [...answer.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => match[1])

test('431 for an endless URL, endless headers and too many headers; the connection is closed', async () => {
  const floods = [
    `GET /${'a'.repeat(1_000_000)} HTTP/1.1\r\nHost: x\r\n\r\n`,
    `GET /livez HTTP/1.1\r\nHost: x\r\n${'X: y\r\n'.repeat(100_000)}\r\n`,
    `GET /livez HTTP/1.1\r\nHost: x\r\n${`X-${'n'.repeat(1_000)}: y\r\n`.repeat(1_000)}\r\n`,
    `${HEAD}Cookie: ${'c'.repeat(1_000_000)}`,
  ]
  for (const flood of floods) {
    const { socket, received } = await sent(api.url, flood)
    await closed(socket)
    // If the rest of the data reaches a closed connection, the reset discards the response.
    if (received() !== '') assert.equal(rawProblem(received()).status, 431)
  }
  const quiet = await sent(api.url, `GET /livez HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(17_000)}\r\n\r\n`)
  await closed(quiet.socket)
  assert.equal(rawProblem(quiet.received()).status, 431)
})

test('an endless chunked body gets 413 at the limit, or 408', async () => {
  const { socket, received } = await sent(api.url, CHUNKED)
  const chunk = `1000\r\n${' '.repeat(0x1000)}\r\n`
  const flood = setInterval(() => socket.writable && socket.write(chunk.repeat(4)), 5).unref()
  await closed(socket)
  clearInterval(flood)
  assert.equal(rawProblem(received()).status, 413)
  const tiny = await sent(api.url, CHUNKED)
  const drip = setInterval(() => tiny.socket.writable && tiny.socket.write('1\r\n \r\n'), 50).unref()
  await closed(tiny.socket)
  clearInterval(drip)
  assert.equal(rawProblem(tiny.received()).status, 408)
})

test('a Content-Length that is too long gets 408; after one that is too short, the rest is never handled as a request', async () => {
  const long = await sent(api.url, `${HEAD}Content-Length: ${EVENT.length + 1}\r\n\r\n${EVENT}`)
  await closed(long.socket)
  assert.equal(rawProblem(long.received()).status, 408)
  const short = `${HEAD}Content-Length: ${EVENT.length}\r\n\r\n${EVENT}${EVENT}\r\n\r\n`
  const answer = await rawExchange(api.url, [short]).catch(() => '')
  assert.ok(statusesIn(answer).length <= 1, answer)
  for (const length of ['-1', '+5', '0x10', '1e3', '5, 5', '99999999999999999999999', 'x', '']) {
    const { socket, received } = await sent(api.url, `${HEAD}Content-Length: ${length}\r\n\r\n${EVENT}`)
    await closed(socket)
    assert.equal(rawProblem(received()).status, 400, length)
  }
})

test('smuggled requests are never answered: one 400, and the connection is closed', async () => {
  const inner = 'GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n'
  const hidden = `0\r\n\r\n${inner}`
  const length = `Content-Length: ${hidden.length}\r\n`
  const attempts = [
    `${HEAD}${length}Transfer-Encoding: chunked\r\n\r\n${hidden}`,
    `${HEAD}Transfer-Encoding: chunked\r\n${length}\r\n${hidden}`,
    `${HEAD}${length}Transfer-Encoding: identity, chunked\r\n\r\n${hidden}`,
    `${HEAD}${length}Transfer-Encoding : chunked\r\n\r\n${hidden}`,
    `${HEAD}${length}Transfer-Encoding: xchunked\r\n\r\n${hidden}`,
    `${HEAD}${length}Transfer-Encoding:\r\n chunked\r\n\r\n${hidden}`,
    `${HEAD}Transfer-Encoding: chunked, identity\r\n\r\n${hidden}`,
    `${HEAD}Transfer-Encoding: gzip\r\n\r\n${hidden}`,
    `${HEAD}Content-Length: 0\r\n${length}\r\n${hidden}`,
    `${HEAD}${length.trim()}\n\r\n${hidden}`,
    `${HEAD}Transfer-Encoding: chunked\r\n\r\n5;a=\n\r\nhello\r\n${hidden}`,
    `${HEAD}Transfer-Encoding: chunked\r\n\r\n-1\r\n${hidden}`,
    `${HEAD}Transfer-Encoding: chunked\r\n\r\n1ffffffffffffffff\r\n${hidden}`,
    `POST /event HTTP/1.1\r\nHost: x\r\n${length}X: a\rTransfer-Encoding: chunked\r\n\r\n${hidden}`,
  ]
  for (const attempt of attempts) {
    const { socket, received } = await sent(api.url, attempt)
    await closed(socket)
    assert.deepEqual(statusesIn(received()), ['400'], JSON.stringify(attempt))
    assert.doesNotMatch(received(), /"openapi"/)
  }
})

test('after a refusal a short body is discarded, the connection stays open, and the next request is read correctly', async () => {
  const refusals: [string, string][] = [
    ['404', `POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: ${EVENT.length}\r\n\r\n${EVENT}`],
    ['405', `PUT /event HTTP/1.1\r\nHost: x\r\nContent-Length: ${EVENT.length}\r\n\r\n${EVENT}`],
    [
      '415',
      `POST /event HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nContent-Length: ${EVENT.length}\r\n\r\n${EVENT}`,
    ],
    ['415', httpRequest('/event', EVENT, { 'Content-Encoding': 'compress' })],
    ['400', httpRequest('/event', '{')],
    ['422', httpRequest('/event', '{}')],
  ]
  // The last body is long, so the connection is closed.
  const requests = [
    ...refusals.flatMap(([, request]) => [request, httpRequest('/event', EVENT)]),
    httpRequest('/event', 'x'.repeat(67_000)),
  ]
  const { socket, received } = await sent(api.url, '')
  for (const [index, request] of requests.entries()) {
    // Headers first, and the body when the response may have been sent already: the more difficult order.
    const bodyAt = request.indexOf('\r\n\r\n') + 4
    socket.write(request.slice(0, bodyAt))
    await new Promise((resolve) => setImmediate(resolve))
    socket.write(request.slice(bodyAt))
    await until('the answer', () => statusesIn(received()).length > index)
  }
  await closed(socket)
  assert.deepEqual(statusesIn(received()), [...refusals.flatMap(([status]) => [status, '202']), '413'])
})

test('a refused request with Expect: 100-continue closes the connection, because the next bytes are ambiguous', async () => {
  const request = `POST /event HTTP/1.1\r\nHost: x\r\nContent-Type: text/csv\r\nExpect: 100-continue\r\nContent-Length: 60\r\n\r\n`
  const { socket, received } = await sent(api.url, request)
  await until('the refusal', () => statusesIn(received()).length === 1)
  // A client that does not send the body but a new request: the API must not read the request as the body.
  socket.write('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(3))
  await closed(socket)
  assert.deepEqual(statusesIn(received()), ['415'])
  assert.match(received(), /connection: close/i)
})
