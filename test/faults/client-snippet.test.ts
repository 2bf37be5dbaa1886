import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { after, before, type TestContext, test } from 'node:test'
import type { NodeService } from '../../embedded/node-service.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { until } from '../support/until.ts'

/* I2 for the client: the example in the README loses no event and stores none twice. */

type SendEvent = (
  apiUrl: string,
  event: object,
  options?: { timeoutMs?: number; maxAttempts?: number },
) => Promise<string>
const snippet = new URL('../../examples/send-event.mjs', import.meta.url).href
const { sendEvent }: { sendEvent: SendEvent } = await import(snippet)

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
const CALLERS = 10
const EVENTS_EACH = 30

let pipeline: Pipeline
let api: NodeService

before(async () => {
  pipeline = await Pipeline.start()
  api = await pipeline.startApi()
  await pipeline.startSink()
})
after(async () => {
  await pipeline?.close()
})

test('I2: sendEvent() while the API is killed and every tenth response is lost', async (t) => {
  const { bodies, failures } = recordRequests(t, { loseEvery: 10 })
  const resolved: string[] = []
  const callers = Array.from({ length: CALLERS }, async (_, caller) => {
    for (let n = 0; n < EVENTS_EACH; n++) {
      resolved.push(await sendEvent(api.url, { user_id: caller, metadata: { n, price: 1.5 } }))
    }
  })
  const all = Promise.all(callers)
  await until('a third of the events is sent', () => resolved.length >= (CALLERS * EVENTS_EACH) / 3)
  const { kafka } = pipeline.backend
  await kafka.freeze() // so that requests are in flight at the kill
  await until('requests wait', async () => Number((await api.health())?.in_flight) > 0)
  await api.kill()
  await kafka.thaw()
  assert.ok(resolved.length < CALLERS * EVENTS_EACH, 'the kill came while events were being sent')
  await api.start()
  await all

  assert.equal(resolved.length, CALLERS * EVENTS_EACH)
  for (const id of resolved) assert.match(id, UUID_V7)
  const sent = new Map(resolved.map((id) => [id, bodies.filter((body) => body.includes(id))]))
  for (const [id, same] of sent) assert.equal(new Set(same).size, 1, `a different body for ${id}`)
  t.diagnostic(`${resolved.length} events took ${bodies.length} requests`)
  const cut = failures.filter((code) => code === 'UND_ERR_SOCKET' || code === 'ECONNRESET')
  assert.ok(cut.length > 0, `the kill came while requests were under way: ${failures.join(' ')}`)

  await until('the sink has caught up', async () => await pipeline.isCaughtUp())
  const rows = await pipeline.query<{ event_id: string }>('SELECT event_id FROM events')
  assert.deepEqual(rows.map((row) => row.event_id).toSorted(), resolved.toSorted())
  const ackedFile = pipeline.path('acked.tsv')
  writeFileSync(ackedFile, [...sent].map(([id, [body]]) => `${id}\t${body}\n`).join(''))
  const verdict = await pipeline.verify(ackedFile)
  assert.equal(verdict.ok, true, JSON.stringify(verdict))
  assert.equal(verdict.acked, resolved.length)
  assert.ok(verdict.records > resolved.length, 'Kafka holds some of them twice')
})

test('sendEvent() fails at once with the reason if the API refuses the event', async (t) => {
  const { bodies } = recordRequests(t)
  await assert.rejects(sendEvent(api.url, { user_id: 'me', metadata: {} }), /422 .*"\/user_id"/)
  assert.equal(bodies.length, 1)
  await assert.rejects(sendEvent('not a URL', {}), { code: 'ERR_INVALID_URL' })
})

/** Records the requests of fetch() and its failures. Optionally discards some of the responses. */
function recordRequests(t: TestContext, { loseEvery = Infinity } = {}) {
  const bodies: string[] = []
  const failures: unknown[] = []
  const { fetch } = globalThis
  let answers = 0
  t.mock.method(globalThis, 'fetch', async (url: URL, init?: RequestInit) => {
    if (typeof init?.body !== 'string') return await fetch(url, init)
    bodies.push(init.body)
    const response = await fetch(url, init).catch((error: Error & { cause?: { code?: string } }) => {
      failures.push(error.cause?.code ?? error.message)
      throw error
    })
    answers += 1
    if (answers % loseEvery === 0) throw new TypeError('fetch failed')
    return response
  })
  return { bodies, failures }
}
