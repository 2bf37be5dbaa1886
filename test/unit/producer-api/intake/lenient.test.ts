import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import Koa from 'koa'
import { PublishError } from '../../../../producer-api/errors.ts'
import type { Publisher } from '../../../../producer-api/delivery/publisher.ts'
import { answer } from '../../../../producer-api/intake/answer.ts'
import { FaultLists } from '../../../../producer-api/intake/fault-lists.ts'
import { MemoryBudget } from '../../../../producer-api/memory-budget.ts'
import { listeningService } from '../../../support/api-service.ts'
import { problemOf } from '../../../support/http.ts'
import { until } from '../../../support/until.ts'

/* `Prefer: handling=lenient` on POST /events, over HTTP. */

const ID = '0198c0de-7a5b-7000-8000-0123456789a'
const good = (n: number): string =>
  `{"event_id":"${ID}${n}","user_id":1,"timestamp":"2025-01-31T12:00:00Z","metadata":{}}`
const BAD = '{"user_id":1,"timestamp":"2025-01-31T12:00:00Z","metadata":[]}'
const LINES = 'application/x-ndjson'
const LENIENT = { Prefer: 'handling=lenient' }

interface Accepted {
  status: string
  count: number
  event_ids: (string | null)[]
  errors?: { pointer: string; detail: string }[]
  detail?: string
}

async function listening(t: TestContext, publish?: Publisher['publish'], env: NodeJS.ProcessEnv = {}) {
  const { service, port } = await listeningService(env, publish)
  t.after(() => {
    service.server.close()
    service.server.closeAllConnections()
  })
  const url = `http://127.0.0.1:${port}`
  const post = (lines: string[], headers: Record<string, string> = LENIENT, path = '/events') =>
    fetch(url + path, {
      method: 'POST',
      body: lines.join('\n'),
      headers: { 'Content-Type': LINES, ...headers },
    })
  return { url, post }
}

const health = async (url: string) =>
  (await (await fetch(`${url}/health`)).json()) as {
    total_received: number
    total_accepted: number
    total_rejected: Record<string, number>
    in_flight: number
    queue_bytes: number
  }

test('a lenient batch is accepted without its faulty events, in the order sent, and each is counted by its own outcome', async (t) => {
  const { url, post } = await listening(t)
  const response = await post([good(1), BAD, '{', good(2)])
  assert.equal(response.status, 202)
  assert.equal(response.headers.get('content-type'), 'application/json')
  assert.equal(response.headers.get('preference-applied'), 'handling=lenient')
  assert.deepEqual(await response.json(), {
    status: 'accepted',
    count: 2,
    event_ids: [`${ID}1`, null, null, `${ID}2`],
    errors: [
      { pointer: '/1/metadata', detail: 'metadata must be a JSON object.' },
      { pointer: '/2', detail: `Line 3, byte ${good(1).length + BAD.length + 3}: the text ends too early.` },
    ],
  })
  const { total_received, total_accepted, total_rejected, in_flight } = await health(url)
  assert.deepEqual(
    { total_received, total_accepted, total_rejected, in_flight },
    {
      total_received: 4,
      total_accepted: 2,
      total_rejected: { 'invalid-event': 1, 'not-json': 1 },
      in_flight: 0,
    },
  )
})

test('without faults it says that the preference was applied, and lists no errors', async (t) => {
  const { post } = await listening(t)
  const response = await post([good(1)])
  assert.equal(response.headers.get('preference-applied'), 'handling=lenient')
  assert.deepEqual(await response.json(), { status: 'accepted', count: 1, event_ids: [`${ID}1`], errors: [] })
})

test('with no good event it is a 422 with all faults', async (t) => {
  const { url, post } = await listening(t)
  const response = await post([BAD, BAD])
  assert.equal(response.headers.get('preference-applied'), 'handling=lenient')
  const { errors } = await problemOf(response, 422, 'invalid-event')
  assert.deepEqual(
    errors?.map(({ pointer }) => pointer),
    ['/0/metadata', '/1/metadata'],
  )
  assert.deepEqual((await health(url)).total_rejected, { 'invalid-event': 2 })
})

test('without the preference, with another one, or on /event, nothing changes', async (t) => {
  const { url, post } = await listening(t)
  for (const headers of [{}, { Prefer: 'handling=strict' }, { Prefer: 'respond-async' }]) {
    const refused = await post([good(1), BAD], headers)
    assert.equal(refused.headers.get('preference-applied'), null)
    await problemOf(refused, 422, 'invalid-event')
    const accepted = await post([good(1)], headers)
    assert.equal(accepted.headers.get('preference-applied'), null)
    assert.deepEqual(Object.keys((await accepted.json()) as object), ['status', 'count', 'event_ids'])
  }
  const one = await post([good(1)], { ...LENIENT, 'Content-Type': 'application/json' }, '/event')
  assert.equal(one.headers.get('preference-applied'), null)
  assert.deepEqual(Object.keys((await one.json()) as object), ['status', 'event_id'])
  assert.deepEqual((await health(url)).total_rejected, { 'invalid-event': 6 }, 'refused as a whole')
})

test('a 503 lists the ids as a 202 does, and good and faulty events are counted apart', async (t) => {
  for (const [mayHaveWritten, kind, reason] of [
    [false, 'not-accepted', 'refused'],
    [true, 'outcome-unknown', 'outcome-unknown'],
  ] as const) {
    const { url, post } = await listening(t, () =>
      Promise.reject(new PublishError('no', { code: 'NO', retryable: false, mayHaveWritten })),
    )
    const response = await post([BAD, good(1)])
    assert.equal(response.headers.get('preference-applied'), 'handling=lenient')
    const { event_ids } = await problemOf(response, 503, kind)
    assert.deepEqual(event_ids, [null, `${ID}1`])
    assert.deepEqual((await health(url)).total_rejected, { 'invalid-event': 1, [reason]: 1 })
  }
})

test('pages may send the preference, and may read that it was applied', async (t) => {
  const { url, post } = await listening(t, undefined, { CORS_ORIGINS: 'https://shop.example' })
  const origin = { Origin: 'https://shop.example' }
  const preflight = await fetch(`${url}/events`, {
    method: 'OPTIONS',
    headers: {
      ...origin,
      'Access-Control-Request-Method': 'POST',
      'Access-Control-Request-Headers': 'content-type,prefer',
    },
  })
  assert.match(preflight.headers.get('access-control-allow-headers') ?? '', /\bprefer\b/)
  const response = await post([good(1), BAD], { ...LENIENT, ...origin })
  assert.match(response.headers.get('access-control-expose-headers') ?? '', /\bPreference-Applied\b/)
})

test('I7: when the budget for fault lists is full, the answer is a 202 all the same, and says what it leaves out', async (t) => {
  const errors = [{ pointer: '/1', detail: 'x'.repeat(500) }]
  const budget = new MemoryBudget(1_000)
  const lists = new FaultLists(budget)
  const app = new Koa().use((ctx) => {
    const faults = { errors, mayBeMore: false }
    answer(ctx, { kind: 'accepted-leniently', count: 1, eventIds: '"a",null', faults }, lists)
  })
  const server = app.listen(0, '127.0.0.1')
  t.after(() => server.close())
  await once(server, 'listening')
  const answered = async (): Promise<[number, Accepted]> => {
    const response = await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    return [response.status, (await response.json()) as Accepted]
  }
  const accepted = { status: 'accepted', count: 1, event_ids: ['a', null] }
  assert.deepEqual(await answered(), [202, { ...accepted, errors }])
  await until('the budget is free', () => budget.usedBytes === 0)
  assert.ok(budget.take(600))
  const detail = 'The faults are not listed because too many other responses are waiting to be read.'
  assert.deepEqual(await answered(), [202, { ...accepted, errors: [], detail }])
  budget.giveBack(600)
  assert.deepEqual(await answered(), [202, { ...accepted, errors }])
})

test('I7: while the good events wait for Kafka, the faults of the others are charged to the buffer', async (t) => {
  let release = (): void => {}
  const sent = new Promise<void>((resolve) => (release = resolve))
  const { url, post } = await listening(t, async () => {
    await sent
    return { baseOffset: 0n }
  })
  const queued = async (): Promise<number> => (await health(url)).queue_bytes
  const faulty = `{"${'n'.repeat(15_000)}":1}`
  const first = post([good(1)])
  const alone = await until('an event waits', async () => (await queued()) || undefined)
  const second = post([good(2), faulty])
  const both = await until('another one waits', async () => {
    const bytes = await queued()
    return bytes > alone ? bytes : undefined
  })
  assert.ok(both - 2 * alone > 15_000, `${alone}, then ${both}`)
  release()
  assert.deepEqual([(await first).status, (await second).status], [202, 202])
})

test('that there may be more faults is said in the answer', async (t) => {
  const { post } = await listening(t)
  const body = (await (await post([good(1), ...Array(101).fill(BAD)])).json()) as Accepted
  assert.equal(body.errors?.length, 100)
  assert.equal(body.event_ids.length, 102)
  assert.equal(body.detail, 'There may be more faults than those in errors.')
})
