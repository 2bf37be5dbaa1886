import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { after, before, test } from 'node:test'
import type { NodeService } from '../../embedded/node-service.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { type Problem, rawExchange, rawProblem } from '../support/http.ts'
import { until } from '../support/until.ts'

/* Raw connections: unusual clients, and requests that the HTTP parser itself refuses. */

let pipeline: Pipeline
let api: NodeService

before(async () => {
  pipeline = await Pipeline.start()
  api = await pipeline.startApi({ REQUEST_TIMEOUT_MS: '1000' })
})
after(async () => {
  await pipeline?.close()
})

const EVENT = '{"user_id":1,"timestamp":"2025-01-31T12:00:00Z","metadata":{}}'
const HEAD = `POST /event HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n`
const WHOLE = `${HEAD}Content-Length: ${EVENT.length}\r\n\r\n${EVENT}`
const JSON_TYPE = { 'Content-Type': 'application/json' }

async function refused(request: string, status: number, kind: string): Promise<Problem> {
  const answer = rawProblem(await rawExchange(api.url, [request]))
  assert.equal(answer.status, status)
  assert.match(answer.head, /x-request-id: ./i)
  assert.match(answer.head, /connection: close/i)
  assert.equal(answer.problem.type, `/problems/${kind}`)
  assert.equal(answer.problem.status, status)
  return answer.problem
}

test('400 for a request that is not HTTP', async () => {
  await refused('nonsense\r\n\r\n', 400, 'bad-request')
  await refused('FOO /event HTTP/1.1\r\nHost: x\r\n\r\n', 400, 'bad-request')
  await refused('GET /livez HTTP/1.1\r\nHost: x\r\nBroken header\r\n\r\n', 400, 'bad-request')
  await refused(`${HEAD}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n`, 400, 'bad-request')
  await refused(`${HEAD}Transfer-Encoding: chunked\r\n\r\nxyz\r\n`, 400, 'bad-request')
})

test('400 without a Host header, which HTTP/1.1 requires', async () => {
  const answer = rawProblem(
    await rawExchange(api.url, ['GET /livez HTTP/1.1\r\n\r\n'], (text) => text.endsWith('}')),
  )
  assert.equal(answer.status, 400)
  assert.equal(answer.problem.type, '/problems/bad-request')
})

test('431 for headers of more than 16 KiB', async () => {
  await refused(
    `GET /livez HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(17_000)}\r\n\r\n`,
    431,
    'headers-too-large',
  )
})

test('431 for more than 100 headers on every path; 100 headers are all read', async () => {
  const headers = (count: number) => Array.from({ length: count }, (_, n) => `X-${n}: ${n}\r\n`).join('')
  const end = `Content-Length: ${EVENT.length}\r\n\r\n${EVENT}`
  const exchange = async (request: string) =>
    await rawExchange(api.url, [request], (text) => text.endsWith('}'))
  assert.match(await exchange(`${HEAD}${headers(97)}${end}`), /^HTTP\/1\.1 202 /)
  for (const head of [HEAD, HEAD.replace('/event', '/nowhere')]) {
    for (const count of [101, 102, 200]) {
      const problem = await refused(`${head}${headers(count - 3)}${end}`, 431, 'headers-too-large')
      assert.match(problem.detail, /at most 100 headers/)
    }
  }
})

test('408 for headers or a body that do not arrive in time', async () => {
  await Promise.all([
    refused('POST /event HTTP/1.1\r\nHost: x\r\n', 408, 'request-timeout'),
    refused(`${HEAD}Content-Length: 100\r\n\r\n{`, 408, 'request-timeout'),
  ])
})

test('an idle connection outlives the request timeout', async () => {
  const socket = await connected()
  const answers: string[] = []
  socket.on('data', (chunk) => answers.push(chunk.toString()))
  for (const expected of [1, 2]) {
    socket.write('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n')
    await until('the answer', () => answers.length === expected)
    assert.match(answers.at(-1) ?? '', /^HTTP\/1\.1 200 OK[^]*Keep-Alive: timeout=75/)
    // Timeouts are checked once per second in this test.
    const start = performance.now()
    await until('two checks', () => performance.now() > start + 2_200)
  }
  socket.destroy()
})

test('a chunked body is accepted', async () => {
  const chunks = [EVENT.slice(0, 7), EVENT.slice(7, 8), EVENT.slice(8)]
  const body = chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`).join('')
  const request = `${HEAD}Transfer-Encoding: chunked\r\n\r\n${body}0\r\n\r\n`
  const answer = await rawExchange(api.url, [request], (text) => text.endsWith('}'))
  assert.match(answer, /^HTTP\/1\.1 202 /)
})

test('pipelined requests are answered in order', async () => {
  const bad = `${HEAD}Content-Length: 1\r\n\r\n{`
  const requests = `${WHOLE}${bad}${WHOLE}GET /livez HTTP/1.1\r\nHost: x\r\n\r\n`
  const answer = await rawExchange(api.url, [requests], (text) => text.includes('{"status":"ok"}'))
  const statuses = [...answer.matchAll(/HTTP\/1\.1 (\d+)/g)].map((match) => match[1])
  assert.deepEqual(statuses, ['202', '400', '202', '200'])
})

test('malformed data after a valid request does not get a response in its place', async () => {
  const answer = await rawExchange(api.url, [`${WHOLE}nonsense\r\n\r\n`]).catch(() => '')
  assert.doesNotMatch(answer, /HTTP\/1\.1 4/)
})

test('an unknown expectation is ignored, as HTTP allows', async () => {
  const request = WHOLE.replace('Content-Length', 'Expect: wonders\r\nContent-Length')
  const answer = await rawExchange(api.url, [request], (text) => text.endsWith('}'))
  assert.match(answer, /HTTP\/1\.1 202 /)
})

test('a client that is still sending a body that is too long receives the refusal', async () => {
  const long = 'x'.repeat(3_000_000)
  const answer = await rawExchange(api.url, [`${HEAD}Content-Length: ${long.length}\r\n\r\n`, long])
  assert.equal(rawProblem(answer).status, 413)
  assert.match(answer, /connection: close/i)
})

test('clients that disconnect leave nothing in the buffer', async () => {
  for (let i = 0; i < 50; i++) {
    const socket = await connected()
    socket.write(i % 2 === 0 ? WHOLE : `${HEAD}Content-Length: 60000\r\n\r\n{"user_id":1`)
    await new Promise((resolve) => socket.write('', resolve))
    socket.destroy()
  }
  await until('all requests to end', async () => {
    const health = await api.health()
    const rejected = health?.total_rejected as { aborted?: number } | undefined
    return health?.queue_bytes === 0 && (rejected?.aborted ?? 0) >= 25
  })
})

test('1,000 idle connections do not disturb other requests', async () => {
  const sockets = await Promise.all(Array.from({ length: 1_000 }, connected))
  const answered = sockets.map((socket) => once(socket, 'data'))
  for (const socket of sockets) socket.write('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n')
  await Promise.all(answered)
  assert.equal(
    (await fetch(`${api.url}/event`, { method: 'POST', body: EVENT, headers: JSON_TYPE })).status,
    202,
  )
  for (const socket of sockets) socket.destroy()
})

async function connected(): Promise<Socket> {
  const { port, hostname } = new URL(api.url)
  const socket = connect(Number(port), hostname)
  socket.on('error', () => {})
  await once(socket, 'connect')
  return socket
}
