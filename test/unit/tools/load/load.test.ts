import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test, type TestContext } from 'node:test'
import { type AckedLine, readAckFile } from '../../../../tools/load/ack-file.ts'
import { eventOf, openRun } from '../../../../tools/load/events.ts'
import { load, localTarget } from '../../../../tools/load/load.ts'

const dir = mkdtempSync(join(tmpdir(), 'firehose-load-'))
after(() => rmSync(dir, { recursive: true }))

const IDS = /"event_id":"([^"]+)"/g

type Listener = (request: IncomingMessage, response: ServerResponse) => unknown

async function listen(t: TestContext, listener: Listener): Promise<string> {
  const server = createServer((request, response) => void listener(request, response)).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return urlOf(server)
}

function urlOf(server: Server): string {
  const address = server.address()
  return `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}`
}

function sum(counts: Record<string, number>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0)
}

async function textOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

function accept(response: ServerResponse, body: string): void {
  const ids = [...body.matchAll(IDS)].map((match) => match[1])
  response.writeHead(202).end(JSON.stringify({ status: 'accepted', event_ids: ids }))
}

async function readAll(path: string): Promise<AckedLine[]> {
  const lines: AckedLine[] = []
  for await (const some of readAckFile(path)) lines.push(...some)
  return lines
}

test('each planned event is sent once, and the ack file holds what was sent', async (t) => {
  const bodies: string[] = []
  const url = await listen(t, async (request, response) => {
    const body = await textOf(request)
    bodies.push(body)
    accept(response, body)
  })
  const ackedFile = join(dir, 'single.tsv')
  const result = await load({ url, rate: 1000, connections: 20, seconds: 0.3, seed: 's', ackedFile })

  assert.equal(result.sent, 300)
  assert.equal(result.acked, 300)
  assert.deepEqual(result.errors, {})
  const run = openRun({ seed: 's', startedAtMs: result.started_at_ms })
  const planned = Array.from({ length: 300 }, (_, n) => eventOf(run, n).body)
  assert.deepEqual(bodies.toSorted(), planned.toSorted())
  const acked = await readAll(ackedFile)
  assert.deepEqual(acked.map((line) => line.body.toString()).toSorted(), planned.toSorted())
  assert.ok(acked.every((line) => line.body.toString().includes(line.eventId)))
})

test('a batch is NDJSON of several events, and each of its ids is acknowledged', async (t) => {
  const sizes: number[] = []
  const url = await listen(t, async (request, response) => {
    assert.equal(request.url, '/events')
    assert.equal(request.headers['content-type'], 'application/x-ndjson')
    const body = await textOf(request)
    sizes.push(body.trimEnd().split('\n').length)
    accept(response, body)
  })
  const ackedFile = join(dir, 'batch.tsv')
  const result = await load({ url, rate: 1000, connections: 4, seconds: 0.25, batch: 40, ackedFile })
  assert.equal(result.acked, 250)
  assert.deepEqual(
    sizes.toSorted((a, b) => a - b),
    [10, 40, 40, 40, 40, 40, 40],
  )
  assert.equal(new Set((await readAll(ackedFile)).map((line) => line.eventId)).size, 250)
})

test('of events without an id, the ack file has the id that the API made', async (t) => {
  for (const batch of [1, 7]) {
    let made = 0
    const url = await listen(t, async (request, response) => {
      const events = (await textOf(request)).trim().split('\n')
      const ids = events.map((body) => {
        const { event_id: id } = JSON.parse(body) as { event_id?: string }
        return id?.toLowerCase() ?? `00000000-0000-7000-8000-${String(made++).padStart(12, '0')}`
      })
      const named = batch === 1 ? { event_id: ids[0] } : { event_ids: ids }
      response.writeHead(202).end(JSON.stringify({ status: 'accepted', ...named }))
    })
    const ackedFile = join(dir, `shapes-${batch}.tsv`)
    const result = await load({
      url,
      rate: 1000,
      connections: 4,
      seconds: 0.2,
      batch,
      shapes: 'text',
      ackedFile,
    })
    const lines = await readAll(ackedFile)
    assert.deepEqual([result.acked, lines.length], [200, 200])
    let without = 0
    for (const { eventId, body } of lines) {
      const { event_id: own } = JSON.parse(body.toString()) as { event_id?: string }
      if (own === undefined) without++
      assert.equal(eventId, own?.toLowerCase() ?? eventId)
    }
    assert.ok(made === without && made > 20, `${made} ${without}`)
    assert.equal(new Set(lines.map(({ eventId }) => eventId)).size, 200)
  }
})

test('latency counts from the intended send time, so a stall shows in the requests that waited', async (t) => {
  let stalledUntil = 0
  const url = await listen(t, async (request, response) => {
    const body = await textOf(request)
    if (stalledUntil === 0) stalledUntil = performance.now() + 400
    setTimeout(() => accept(response, body), Math.max(0, stalledUntil - performance.now()))
  })
  const result = await load({ url, rate: 500, connections: 2, seconds: 0.4 })
  assert.equal(result.acked, 200)
  // Only two requests were in flight during the stall; a closed loop would report a median near zero.
  assert.ok(result.p50_ms > 100, `p50 ${result.p50_ms} ms`)
  assert.ok(result.max_ms > 380, `max ${result.max_ms} ms`)
  assert.ok(result.max_queued > 100, `${result.max_queued} queued`)
})

test('rejected requests are counted by kind, and unknown outcomes separately', async (t) => {
  let n = 0
  const url = await listen(t, async (request, response) => {
    const body = await textOf(request)
    n += 1
    if (n % 5 === 0) response.writeHead(422).end('{}')
    else if (n % 5 === 1) response.writeHead(503).end('{"outcome":"not_accepted"}')
    else if (n % 5 === 2) response.writeHead(503).end('{"outcome":"unknown"}')
    else if (n % 5 === 3) response.writeHead(202).end('{"event_id":"another"}')
    else accept(response, body)
  })
  const result = await load({ url, rate: 500, connections: 4, seconds: 0.1 })
  assert.equal(result.sent, 50)
  assert.equal(result.acked, 10)
  assert.deepEqual(result.errors, {
    '422': 10,
    '503 not_accepted': 10,
    '503 unknown': 10,
    '202 without our ids': 10,
  })
  assert.equal(result.unknown, 20)
  assert.equal(result.unknown_ids.length, 20)
})

test('retry repeats the same bytes until accepted, not before Retry-After, and also after resets', async (t) => {
  const seen = new Map<string, { bodies: Set<string>; times: number[] }>()
  const url = await listen(t, async (request, response) => {
    const body = await textOf(request)
    const id = /"event_id":"([^"]+)"/.exec(body)?.[1] ?? ''
    const entry = seen.get(id) ?? { bodies: new Set(), times: [] }
    seen.set(id, entry)
    entry.bodies.add(body)
    entry.times.push(performance.now())
    if (entry.times.length === 1)
      response.writeHead(503, { 'retry-after': '1' }).end('{"outcome":"not_accepted"}')
    else if (entry.times.length === 2) request.socket.resetAndDestroy()
    else accept(response, body)
  })
  const result = await load({ url, rate: 200, connections: 4, seconds: 0.1, retry: true })
  assert.equal(result.acked, 20)
  assert.deepEqual(result.errors, {})
  assert.equal(result.retries['503 not_accepted'], 20)
  assert.equal(sum(result.retries), 40)
  assert.equal(seen.size, 20)
  for (const { bodies, times } of seen.values()) {
    assert.equal(bodies.size, 1)
    assert.ok((times[1] ?? 0) - (times[0] ?? 0) >= 990)
  }
})

test('a connection cut after the request was sent leaves an unknown outcome', async (t) => {
  const url = await listen(t, (request) => request.socket.destroy())
  const result = await load({ url, rate: 100, connections: 2, seconds: 0.2 })
  assert.deepEqual(result.errors, { closed_by_server: 20 })
  assert.equal(result.unknown, 20)
})

test('if nothing listens, load fails; with retry it waits, and knows that nothing was stored', async () => {
  const unused = createServer().listen(0, '127.0.0.1')
  await once(unused, 'listening')
  const url = urlOf(unused)
  unused.close()
  await assert.rejects(load({ url, rate: 1, connections: 1, seconds: 1 }), /Nothing listens/)
  const plan = { url, rate: 100, connections: 2, seconds: 0.1, timeoutMs: 200 }
  const result = await load({ ...plan, retry: true, retryForMs: 300 })
  assert.equal(result.acked, 0)
  assert.equal(sum(result.errors), 10)
  assert.equal(result.unknown, 0)
})

test('requests to a silent server time out; abort ends the run and settles every event', async (t) => {
  const url = await listen(t, () => {})
  const silent = await load({ url, rate: 100, connections: 5, seconds: 0.05, timeoutMs: 150 })
  assert.deepEqual(silent.errors, { timeout: 5 })
  const stop = new AbortController()
  setTimeout(() => stop.abort(), 100)
  const result = await load({ url, rate: 100, connections: 5, seconds: 60, signal: stop.signal })
  assert.ok(result.sent > 5 && result.sent < 60)
  assert.deepEqual(result.errors, { closed: result.sent })
  assert.equal(result.unknown, 5, 'five were in flight')
})

test('load can be sent only to this machine', () => {
  assert.deepEqual(localTarget('http://[::1]:8000'), { host: '::1', port: 8000 })
  for (const url of ['http://example.com', 'https://127.0.0.1', 'http://127.0.0.1.example.com', 'x']) {
    assert.throws(() => localTarget(url), /Load can only be sent to/)
  }
})

test('the key is in each request, also in one that is repeated after the key has changed', async (t) => {
  const seen: (string | undefined)[][] = []
  const key = { text: 'one' }
  const url = await listen(t, async (request, response) => {
    const body = await textOf(request)
    seen.push([request.headers.authorization, request.headers.host, request.headers['content-type']])
    if (seen.length > 10) return accept(response, body)
    if (seen.length === 10) key.text = 'two'
    response.writeHead(503).end('{"outcome":"not_accepted"}')
  })
  const plan = { url, rate: 1000, connections: 1, seconds: 0.01 }
  assert.equal((await load({ ...plan, key, retry: true })).acked, 10)
  const [host, type] = [new URL(url).host, 'application/json']
  const requests = (text: string): string[][] =>
    Array.from({ length: 10 }, () => [`Bearer ${text}`, host, type])
  assert.deepEqual(seen, [...requests('one'), ...requests('two')])
  seen.length = 20
  await load(plan)
  assert.deepEqual(new Set(seen.slice(20).map(([authorization]) => authorization)), new Set([undefined]))
})

test('refused keys and limits are counted by their status; only after a limit is a request repeated', async (t) => {
  const attempts = new Map<string, number>()
  const url = await listen(t, async (request, response) => {
    const body = await textOf(request)
    const n = Number(/"n":(\d+)/.exec(body)?.[1])
    const attempt = (attempts.get(body) ?? 0) + 1
    attempts.set(body, attempt)
    if (n % 3 === 2 && attempt > 1) return accept(response, body)
    response.writeHead([401, 403, 429][n % 3] ?? 0, { 'retry-after': '1' }).end('{}')
  })
  const startMs = performance.now()
  const result = await load({ url, rate: 1000, connections: 3, seconds: 0.03, retry: true })
  assert.deepEqual([result.errors, result.retries, result.acked], [{ 401: 10, 403: 10 }, { 429: 10 }, 10])
  assert.deepEqual([result.unknown, attempts.size], [0, 30])
  assert.ok(performance.now() - startMs >= 990)
})
