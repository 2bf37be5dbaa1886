import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { NodeService } from '../../embedded/node-service.ts'
import { load } from '../../tools/load/load.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { closed, httpRequest, sent } from '../support/clients.ts'
import { problemOf, rawProblem } from '../support/http.ts'
import { metricOf } from '../support/metrics.ts'
import { rssMiB, watchRss } from '../support/processes.ts'
import { idOf } from '../support/records.ts'
import { range } from '../support/sink-faults.ts'
import { until } from '../support/until.ts'

/* Malicious or broken clients while other clients are served. For malformed requests see api-http.test.ts. */

const REQUEST_TIMEOUT_MS = 2_000
const MANY = 10_000
/** Tolerated growth of the API's memory by garbage and fragmentation. */
const NOISE_MIB = 60

let pipeline: Pipeline
let api: NodeService

before(async () => {
  pipeline = await Pipeline.start()
  const limits = { REQUEST_TIMEOUT_MS: String(REQUEST_TIMEOUT_MS), DELIVERY_TIMEOUT_MS: '3000' }
  api = await pipeline.startApi(limits)
  await load({ url: api.url, rate: 1_000, connections: 50, seconds: 2 }) // warm up
})
after(async () => {
  await pipeline?.close()
})

const EVENT = '{"user_id":1,"timestamp":"2025-01-31T12:00:00Z","metadata":{}}'
const HEAD = 'POST /event HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n'
const JSON_TYPE = { 'Content-Type': 'application/json' }

const post = (path: string, body: string | Buffer, headers: Record<string, string> = {}) =>
  fetch(api.url + path, { method: 'POST', body, headers: { ...JSON_TYPE, ...headers } })
const rss = () => rssMiB(api.pid ?? 0)

/** Checks that other clients are served during `attack`. */
async function othersAreServed<T>(attack: Promise<T>): Promise<T> {
  const stop = new AbortController()
  let served = 0
  const others = load({
    url: api.url,
    rate: 50,
    connections: 5,
    seconds: 120,
    retry: true,
    signal: stop.signal,
    onAccepted: () => {
      served += 1
    },
  })
  try {
    const result = await attack
    await until('another client that is served', () => served > 0)
    return result
  } finally {
    stop.abort()
    const { errors } = await others
    assert.deepEqual(
      Object.keys(errors).filter((kind) => kind !== 'aborted' && kind !== 'closed'),
      [],
    )
  }
}

test('I7: 1,000 clients that send headers or bodies very slowly get 408 in time; others get 202; memory is released', async (t) => {
  const restMiB = rss()
  const started = performance.now()
  const slow = await Promise.all(
    Array.from({ length: 1_000 }, (_, n) =>
      sent(
        api.url,
        n % 2 === 0 ? 'POST /event HTTP/1.1\r\nHost: x\r\n' : `${HEAD}Content-Length: 60000\r\n\r\n{`,
      ),
    ),
  )
  const drops = setInterval(() => {
    for (const [n, { socket }] of slow.entries())
      if (socket.writable) socket.write(n % 2 === 0 ? 'X-A: b\r\n' : ' ')
  }, 200)
  t.after(() => clearInterval(drops))
  await othersAreServed(Promise.all(slow.map(({ socket }) => closed(socket))))
  // Timeouts are checked once per interval; the margin is for slow machines.
  const tookMs = performance.now() - started
  assert.ok(tookMs < 2 * REQUEST_TIMEOUT_MS + 15_000, `${tookMs} ms`)
  // If data reaches a closed connection, the reset discards the response.
  const answers = slow.map(({ received }) => received()).filter((answer) => answer !== '')
  for (const answer of answers) {
    const { status, problem } = rawProblem(answer)
    assert.deepEqual([status, problem.type], [408, '/problems/request-timeout'])
  }
  assert.ok(answers.length > slow.length / 2, `${answers.length} were answered`)
  t.diagnostic(
    `408 after ${tookMs.toFixed(0)} ms at most; RSS ${restMiB.toFixed(0)} to ${rss().toFixed(0)} MiB`,
  )
  assert.ok(rss() < restMiB + NOISE_MIB)
})

test('I7: clients that never read their responses are disconnected; others get 202; memory is bounded', async (t) => {
  const restMiB = rss()
  const cutBefore = await metricOf(api, 'firehose_api_connections_cut_total')
  const watch = watchRss(api.pid ?? 0)
  const flood = async (): Promise<void> => {
    // Two thousand large responses for 90 KB of requests.
    const nonReading = await Promise.all(Array.from({ length: 20 }, () => sent(api.url, '')))
    for (const { socket } of nonReading) {
      socket.pause()
      socket.write('GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(2_000))
    }
    await until('all connections to be closed', () => {
      // A paused socket detects the close only when it writes.
      for (const { socket } of nonReading)
        if (socket.writable) socket.write('GET /livez HTTP/1.1\r\nHost: x\r\n\r\n')
      return nonReading.every(({ socket }) => socket.closed)
    })
  }
  await othersAreServed(flood())
  // Reading stops for a client whose requests come in several reads, until it times out.
  const cut = (await metricOf(api, 'firehose_api_connections_cut_total')) - cutBefore
  assert.ok(cut > 10, `${cut} of 20`)
  const silence = async (): Promise<void> => {
    const opened = openFiles()
    const nonReading = await Promise.all(Array.from({ length: 20 }, () => sent(api.url, '')))
    for (const { socket } of nonReading) {
      socket.pause()
      // The maximum of unanswered requests, all in one read.
      socket.write('GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(600))
    }
    await until('20 connections', () => openFiles() >= opened + 20)
    await until('all connections to be closed', () => openFiles() < opened + 10)
    for (const { socket } of nonReading) socket.destroy()
  }
  await othersAreServed(silence())
  const peak = watch.stop()
  t.diagnostic(`RSS ${restMiB.toFixed(0)}, at most ${peak.toFixed(0)} MiB`)
  // It was 1,400 MiB without the limit.
  assert.ok(peak < restMiB + 2 * NOISE_MIB, `${peak} MiB`)
})

test('I7: of 2,000 pipelined events at most 100 are handled at once; all get 202, in order, once Kafka accepts them', async () => {
  const patient = await pipeline.startApi()
  const ids = range(0, 2_000).map(idOf)
  const requests = ids.map((id) => httpRequest('/event', EVENT.replace('{', `{"event_id":"${id}",`)))
  await pipeline.backend.kafka.freeze()
  const { socket, received } = await sent(patient.url, requests.join(''))
  const inFlight = async () => (await patient.health())?.in_flight
  await until('events that wait', async () => (await inFlight()) === 100)
  const most = Math.max(...(await Promise.all(range(0, 20).map(inFlight))).map(Number))
  await pipeline.backend.kafka.thaw()
  assert.equal(most, 100)
  const accepted = () => [...received().matchAll(/HTTP\/1\.1 202 [^]*?"event_id":"([^"]+)"/g)]
  await until('all answers', () => accepted().length === ids.length || socket.closed)
  assert.deepEqual(
    accepted().map(([, id]) => id),
    ids,
  )
  socket.destroy()
  await patient.stop(20_000)
})

/** Open file descriptors of the API. */
function openFiles(of = api): number {
  return readdirSync(`/proc/${of.pid}/fd`).length
}

test(`I7: ${MANY} connections at once, each sending one event: all get 202`, async (t) => {
  // With the default limits, because opening so many connections may take seconds.
  const busy = await pipeline.startApi()
  const pid = busy.pid ?? 0
  const restMiB = rssMiB(pid)
  let open = 0
  const watch = setInterval(() => (open = Math.max(open, openFiles(busy))), 200).unref()
  const limits = { rate: MANY / 5, connections: MANY, seconds: 5, timeoutMs: 60_000 }
  const result = await load({ url: busy.url, ...limits, retry: true })
  clearInterval(watch)
  t.diagnostic(`p99 ${result.p99_ms.toFixed(0)} ms, sent again ${JSON.stringify(result.retries)}`)
  t.diagnostic(`RSS ${restMiB.toFixed(0)} to ${rssMiB(pid).toFixed(0)} MiB`)
  // A few connections may have been missed between two samples, or reconnect.
  assert.ok(open > MANY * 0.95, `${open} were open at once`)
  assert.deepEqual(result.errors, {})
  assert.equal(result.acked, MANY)
  await until('an empty buffer', async () => (await busy.health())?.queue_bytes === 0)
  await busy.stop(20_000)
})

test('I7: after 2,000 uploads reset in mid-body and 2,000 clients disconnected before their 202, the buffer is empty', async () => {
  const aborted = async () =>
    (((await api.health())?.total_rejected ?? {}) as Record<string, number>).aborted ?? 0
  const abortedBefore = await aborted()
  const attack = async (): Promise<void> => {
    for (let wave = 0; wave < 20; wave++) {
      const clients = await Promise.all(
        Array.from({ length: 200 }, (_, n) =>
          sent(
            api.url,
            n % 2 === 0 ? httpRequest('/event', EVENT) : `${HEAD}Content-Length: 60000\r\n\r\n{"user_id":`,
          ),
        ),
      )
      await Promise.all(clients.map(({ socket }) => new Promise((resolve) => socket.write('', resolve))))
      for (const { socket } of clients) socket.resetAndDestroy()
    }
  }
  await othersAreServed(attack())
  await until('all requests to end', async () => {
    const health = await api.health()
    return health?.queue_bytes === 0 && health.in_flight === 0
  })
  assert.ok((await aborted()) > abortedBefore, 'no upload was counted as aborted')
})

test('I7: gzip bombs get 413 or 400, other encodings 415; decompressed data takes no memory', async (t) => {
  const zip = { 'Content-Encoding': 'gzip' }
  const gigabyte = gzipSync(Buffer.alloc(64 * 1024 * 1024))
  // Sixteen times 64 MiB, as concatenated gzip members.
  const bomb = Buffer.concat(Array.from({ length: 15 }, () => gigabyte))
  assert.ok(bomb.length < 1024 * 1024)
  const restMiB = rss()
  const watch = watchRss(api.pid ?? 0)
  const attack = async (): Promise<void> => {
    for (let wave = 0; wave < 5; wave++) {
      const answers = await Promise.all(Array.from({ length: 40 }, () => post('/events', bomb, zip)))
      for (const answer of answers) await problemOf(answer, 413, 'too-large')
    }
    await problemOf(await post('/event', gzipSync(gzipSync(EVENT)), zip), 400, 'not-utf8')
    // Ten gigabytes of zeros are ten megabytes of gzip: too large even before decompression.
    const endless = Array.from({ length: 160 }, () => gigabyte)
    await problemOf(await post('/events', Buffer.concat(endless), zip), 413, 'too-large')
    for (const coding of ['gzip, gzip', 'br, gzip', 'compress', 'dcb', '__proto__']) {
      const answer = await post('/event', EVENT, { 'Content-Encoding': coding })
      await problemOf(answer, 415, 'unsupported-media-type')
    }
  }
  await othersAreServed(attack())
  const peak = watch.stop()
  t.diagnostic(`RSS ${restMiB.toFixed(0)}, at most ${peak.toFixed(0)} MiB, after ${rss().toFixed(0)} MiB`)
  // 40 at once, each with its body (1 MiB) and decompressed data up to the limit (1 MiB).
  assert.ok(peak < restMiB + 80 + 2 * NOISE_MIB, `${peak} MiB`)
})

test('I8: SIGTERM during slow uploads: 503 for those that finish in time, and the API exits within seconds', async () => {
  const dying = await pipeline.startApi({ REQUEST_TIMEOUT_MS: '60000' })
  const uploads = await Promise.all(
    Array.from({ length: 51 }, () =>
      sent(dying.url, `${HEAD}Expect: 100-continue\r\nContent-Length: ${EVENT.length}\r\n\r\n`),
    ),
  )
  const goAhead = 'HTTP/1.1 100 Continue\r\n\r\n'
  await until('the go-ahead', () => uploads.every(({ received }) => received() === goAhead))
  for (const { socket } of uploads) socket.write(EVENT.slice(0, 20))
  const [late, ...never] = uploads
  assert.ok(late)
  const { exited } = dying
  const started = performance.now()
  const stopped = dying.stop(20_000)
  await until('the drain', () => dying.lastLines().some((line) => line.includes('shutting down')))
  late.socket.write(EVENT.slice(20))
  await closed(late.socket)
  const { status, problem, head } = rawProblem(late.received().slice(goAhead.length))
  assert.deepEqual([status, problem.outcome], [503, 'not_accepted'])
  assert.match(head, /retry-after: \d/i)
  assert.match(head, /connection: close/i)
  assert.equal(await stopped, false)
  assert.deepEqual(await exited, { code: 0, signal: null })
  assert.ok(performance.now() - started < 10_000)
  await Promise.all(never.map(({ socket }) => closed(socket)))
})
