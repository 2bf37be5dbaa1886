import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { after, before, beforeEach, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { MemoryBudget } from '../../../../producer-api/memory-budget.ts'
import { endAndLinger } from '../../../../producer-api/http/answer-problem.ts'
import { type ReadBody, readBody } from '../../../../producer-api/http/read-body.ts'
import { until } from '../../../support/until.ts'

const LIMIT = 1_000
let server: Server
let port: number
let budget: MemoryBudget
let results: ReadBody[]

before(async () => {
  server = createServer()
  const handle = async (...[request, response]: Parameters<typeof endAndLinger>): Promise<void> => {
    const read = await readBody(request, response, LIMIT, budget)
    results.push(read)
    if (read.kind === 'body') response.end(read.body)
    else if (read.kind === 'refused') endAndLinger(request, response, read.detail)
  }
  server.on('request', (request, response) => void handle(request, response, ''))
  server.on('checkContinue', (request, response) => void handle(request, response, ''))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  port = (server.address() as AddressInfo).port
})
beforeEach(() => {
  budget = new MemoryBudget(200 * LIMIT)
  results = []
})
after(() => {
  server.closeAllConnections()
  server.close()
})

const post = (body: Buffer | string, headers: Record<string, string> = {}): Promise<Response> =>
  fetch(`http://127.0.0.1:${port}/`, { method: 'POST', body, headers })

async function open(head: string): Promise<{ socket: Socket; received: () => string }> {
  const socket = connect(port, '127.0.0.1')
  let text = ''
  socket.on('data', (chunk) => {
    text += chunk.toString('latin1')
  })
  socket.on('error', () => {})
  await once(socket, 'connect')
  socket.write(`POST / HTTP/1.1\r\nHost: x\r\n${head}\r\n\r\n`)
  return { socket, received: () => text }
}

const problemOf = (read: ReadBody | undefined): string => (read?.kind === 'refused' ? read.problem : '')

test('a body up to the limit is read correctly, with Content-Length or in chunks', async () => {
  for (const length of [0, 1, LIMIT]) {
    const body = Buffer.alloc(length, 'a')
    assert.deepEqual(Buffer.from(await (await post(body)).arrayBuffer()), body)
  }
  const { socket, received } = await open('Transfer-Encoding: chunked')
  for (const piece of ['3\r\nabc\r\n', '2\r\nde', '\r\n0\r\n\r\n']) socket.write(piece)
  await until('the answer', () => received().endsWith('abcde'))
  socket.destroy()
  assert.equal(budget.usedBytes, 0)
})

test('a Content-Length above the limit is refused before the body arrives, and the connection is closed', async () => {
  const { socket, received } = await open(`Content-Length: ${LIMIT + 1}`)
  await until('the answer', () => received().includes('at most 1000 bytes'))
  assert.match(received(), /Connection: close/i)
  socket.write('a'.repeat(LIMIT + 1))
  await once(socket, 'close')
  assert.equal(problemOf(results[0]), 'too-large')
})

test('chunks above the limit are refused, and a client that continues sending gets the response', async () => {
  const { socket, received } = await open('Transfer-Encoding: chunked')
  const chunk = `${(600).toString(16)}\r\n${'a'.repeat(600)}\r\n`
  for (let i = 0; i < 5; i++) socket.write(chunk)
  await until('the answer', () => received().includes('at most 1000 bytes'))
  for (let i = 0; i < 5; i++) socket.write(chunk)
  socket.write('0\r\n\r\n')
  await once(socket, 'close')
  assert.equal(problemOf(results[0]), 'too-large')
  assert.equal(budget.usedBytes, 0)
})

test('a client that never ends its refused body is disconnected', async () => {
  const { socket, received } = await open(`Content-Length: ${1024 ** 3}`)
  await until('the answer', () => received().includes('at most 1000 bytes'))
  const closed = once(socket, 'close')
  const flood = Buffer.alloc(1024 * 1024)
  while (!socket.closed) {
    socket.write(flood)
    await Promise.race([once(socket, 'drain').catch(() => {}), closed])
  }
  assert.ok(socket.bytesWritten < 64 * 1024 * 1024)
})

test('gzip is decompressed, up to a limit', async () => {
  const body = Buffer.from('{"a":1}')
  const answer = await post(gzipSync(body), { 'Content-Encoding': 'gzip' })
  assert.equal(await answer.text(), '{"a":1}')
  await post(gzipSync(Buffer.alloc(LIMIT)), { 'Content-Encoding': 'GZIP' })
  assert.equal(results.at(-1)?.kind, 'body')
  for (const size of [LIMIT + 1, 50_000]) {
    await post(gzipSync(Buffer.alloc(size)), { 'Content-Encoding': 'gzip' })
    assert.equal(problemOf(results.at(-1)), 'too-large')
  }
  assert.equal(budget.usedBytes, 0)
})

test('invalid and truncated gzip is refused', async () => {
  const zipped = gzipSync(Buffer.from('{"a":1}'))
  const damaged = Buffer.from(zipped)
  damaged.writeUInt8(damaged.readUInt8(damaged.length - 6) ^ 0xff, damaged.length - 6)
  for (const body of [Buffer.from('{"a":1}'), zipped.subarray(0, -4), zipped.subarray(0, 5), damaged]) {
    await post(body, { 'Content-Encoding': 'gzip' })
    assert.equal(problemOf(results.at(-1)), 'bad-request')
  }
})

test('other encodings are refused with the supported one', async () => {
  await post('x', { 'Content-Encoding': 'compress' })
  await post('x', { 'Content-Encoding': 'gzip, gzip' })
  await post('x', { 'Content-Encoding': 'constructor' })
  for (const read of results) {
    assert.equal(problemOf(read), 'unsupported-media-type')
    assert.deepEqual(read.kind === 'refused' && read.headers, {
      'Accept-Encoding': 'gzip, deflate, br, zstd',
    })
  }
  assert.equal(await (await post('x', { 'Content-Encoding': 'identity' })).text(), 'x')
})

test('if the client disconnects, the read is settled and its memory released', async () => {
  const { socket } = await open('Content-Length: 900')
  socket.write('a'.repeat(500))
  await until('some bytes', () => budget.usedBytes === 500)
  socket.destroy()
  await until('the end', () => results.length === 1)
  assert.deepEqual(results, [{ kind: 'aborted' }])
  assert.equal(budget.usedBytes, 0)
})

test('I7: bodies that are read at the same time share a limit', async () => {
  budget = new MemoryBudget(1_500)
  const first = await open('Content-Length: 1000')
  first.socket.write('a'.repeat(999))
  await until('the first body', () => budget.usedBytes === 999)
  await post('a'.repeat(600))
  assert.equal(problemOf(results[0]), 'not-accepted')
  assert.deepEqual(results[0]?.kind === 'refused' && results[0].headers, { 'Retry-After': '1' })
  first.socket.write('a')
  await until('the first answer', () => first.received().includes('200 OK'))
  first.socket.destroy()
  assert.equal(budget.usedBytes, 0)
})

test('a client that waits for 100 Continue gets it, or is refused at once', async () => {
  const welcome = await open('Content-Length: 3\r\nExpect: 100-continue')
  await until('the go-ahead', () => welcome.received().startsWith('HTTP/1.1 100 Continue'))
  welcome.socket.write('abc')
  await until('the answer', () => welcome.received().endsWith('abc'))
  welcome.socket.destroy()
  const refused = await open(`Content-Length: ${LIMIT + 1}\r\nExpect: 100-continue`)
  await until('the refusal', () => refused.received().includes('at most 1000 bytes'))
  assert.doesNotMatch(refused.received(), /100 Continue/)
  refused.socket.destroy()
})
