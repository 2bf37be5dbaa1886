import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { meaningOf, meaningOfFailure } from '../../../../tools/send/answer.ts'
import { sendEvents } from '../../../../tools/send/send.ts'

const ID = '0198c0de-7a5b-7000-8000-0123456789ab'
const EVENT = Buffer.from(`{"event_id":"${ID}","user_id":1,\n"metadata":{"s":"\u009b"}}`)
const accepted = (): Response => new Response(`{"status":"accepted","event_id":"${ID}"}`, { status: 202 })
const problem = (status: number, body: object, headers = {}): Response =>
  new Response(JSON.stringify(body), { status, headers })

/** Sends two events to an API that gives these answers, without waiting between attempts. */
async function send(t: TestContext, answers: (() => Response)[], retryMs = 60_000) {
  const bodies: string[] = []
  t.mock.method(globalThis, 'fetch', async (_: string, init: { body: Buffer }) => {
    bodies.push(init.body.toString())
    return answers.shift()?.() ?? accepted()
  })
  t.mock.method(Math, 'random', () => 0)
  const said: string[] = []
  const ok = await sendEvents([EVENT, EVENT], {
    url: 'http://api.example/',
    retryMs,
    signal: new AbortController().signal,
    onAccepted: (id) => said.push(id),
    onTrouble: (event, sentence) => said.push(`${event}: ${sentence}`),
  })
  return { ok, said, bodies }
}

test('the same bytes are sent again until they are accepted', async (t) => {
  const lost = (): never => {
    throw new TypeError('fetch failed', { cause: new Error('other side closed') })
  }
  const { ok, said, bodies } = await send(t, [() => problem(503, { outcome: 'not_accepted' }), lost])
  assert.equal(ok, true)
  assert.deepEqual(said, [ID, ID])
  assert.equal(bodies.length, 4)
  assert.equal(new Set(bodies.slice(0, 3)).size, 1)
})

test('a refused event is reported fault by fault, and the next one is sent', async (t) => {
  const errors = [
    { pointer: '/user_id', detail: 'user_id is missing.' },
    { pointer: '', detail: 'An event must be a JSON object.' },
  ]
  const { ok, said } = await send(t, [() => problem(422, { detail: 'no', errors })])
  assert.equal(ok, false)
  assert.deepEqual(said, ['1: /user_id: user_id is missing.', '1: An event must be a JSON object.', ID])
})

test('the first event that stays unanswered ends it, and what may be accepted can be sent again', async (t) => {
  const unknown = () =>
    problem(503, { detail: 'Kafka did not acknowledge the events in time.', outcome: 'unknown' })
  const refused = (): never => {
    throw new TypeError('fetch failed', {
      cause: Object.assign(new Error('connect'), { code: 'ECONNREFUSED' }),
    })
  }
  const { ok, said, bodies } = await send(t, [unknown, refused, refused, refused, refused], 300)
  assert.deepEqual([ok, said.length, bodies.length], [false, 1, 2])
  const [sentence, line = ''] = said[0]?.split('\n') ?? []
  assert.match(
    sentence ?? '',
    /^1: http:\/\/api\.example\/ did not accept the event within 0\.3 s: connect\. It may/,
  )
  assert.deepEqual(JSON.parse(line), JSON.parse(bodies[0] ?? ''))
  assert.ok(line.includes('\\u009b'))
})

test('an event that was surely not accepted is reported in one sentence', async (t) => {
  const full = () =>
    problem(503, { detail: 'The buffer is full; nothing was accepted.', outcome: 'not_accepted' })
  const { said } = await send(t, [full], 0)
  assert.deepEqual(said, [
    '1: http://api.example/ did not accept the event within 0 s: The buffer is full; nothing was accepted.',
  ])
})

test('Retry-After counts as part of the time', async (t) => {
  for (const retryAfter of ['30', new Date(Date.now() + 30_000).toUTCString()]) {
    const busy = () => problem(503, { outcome: 'not_accepted' }, { 'Retry-After': retryAfter })
    const { ok, bodies } = await send(t, [busy], 10_000)
    assert.deepEqual([ok, bodies.length], [false, 1])
  }
})

test('no event is not a success', async () => {
  const fail = () => assert.fail()
  const signal = new AbortController().signal
  assert.equal(
    await sendEvents([], { url: 'http://x', retryMs: 0, signal, onAccepted: fail, onTrouble: fail }),
    false,
  )
})

test('an answer of another server is not taken for one of Firehose', () => {
  const notOurs = { kind: 'refused', sentences: ['The answer is HTTP 200, and not one of Firehose.'] }
  assert.deepEqual(meaningOf({ status: 200, body: '<html>' }), notOurs)
  assert.equal(meaningOf({ status: 202, body: 'null' }).kind, 'refused')
  assert.equal(meaningOf({ status: 502, body: '' }).kind, 'try_again')
})

test('every address that was tried is named', () => {
  const tried = new AggregateError([new Error('connect ::1'), new Error('connect 127.0.0.1')], '')
  const error = new TypeError('fetch failed', { cause: Object.assign(tried, { code: 'ECONNREFUSED' }) })
  assert.deepEqual(meaningOfFailure(error), {
    kind: 'try_again',
    why: 'connect ::1, connect 127.0.0.1.',
    mayBeAccepted: false,
  })
})

test('a key is sent as a bearer token; without one, nothing is', async (t) => {
  const sent: (string | null)[] = []
  t.mock.method(globalThis, 'fetch', async (_: string, init: RequestInit) => {
    sent.push(new Headers(init.headers).get('Authorization'))
    return accepted()
  })
  const options = {
    url: 'http://api.example',
    retryMs: 0,
    signal: new AbortController().signal,
    onAccepted: () => {},
    onTrouble: () => assert.fail(),
  }
  await sendEvents([EVENT], options)
  await sendEvents([EVENT], { ...options, key: 'fh_server_a' })
  assert.deepEqual(sent, [null, 'Bearer fh_server_a'])
})

const REMEDY =
  /Set API_KEY, or API_KEY_FILE, to the secret of a server key; "npx firehose keys create LABEL --kind server" makes one\.$/

test('a key that is not valid ends it at the first event, once, with what to do', async (t) => {
  const { ok, said, bodies } = await send(t, [() => problem(401, { detail: 'The key has expired.' })])
  assert.deepEqual([ok, said.length, bodies.length], [false, 1, 1])
  assert.match(said[0] ?? '', /^1: The key has expired\. Set/)
  assert.match(said[0] ?? '', REMEDY)
})

test('an event for which the key is not enough is refused, and the next one is sent', async (t) => {
  const detail = 'The user_id of each event must be the subject of the token.'
  const { ok, said, bodies } = await send(t, [() => problem(403, { detail })])
  assert.deepEqual([ok, said[1], bodies.length], [false, ID, 2])
  assert.ok(said[0]?.startsWith(`1: ${detail} Set`))
  assert.match(said[0] ?? '', REMEDY)
})

test('a limit is waited for as long as the API says, and nothing was accepted', async (t) => {
  const detail = 'Too many events with this key: send the same again in 1 s.'
  const limited = () => problem(429, { detail }, { 'Retry-After': '1' })
  const startMs = performance.now()
  const waited = await send(t, [limited], 10_000)
  assert.deepEqual([waited.ok, waited.said, waited.bodies.length], [true, [ID, ID], 3])
  assert.ok(performance.now() - startMs >= 990)
  const gaveUp = await send(t, [limited], 900)
  assert.deepEqual(gaveUp.said, [
    `1: http://api.example/ did not accept the event within 0.9 s: ${detail} A longer --retry-for waits for that.`,
  ])
})

test('if the key ends after an attempt that may have been accepted, the event can be sent again', async (t) => {
  const unknown = () => problem(503, { detail: 'Not in time.', outcome: 'unknown' })
  const { ok, said, bodies } = await send(t, [
    unknown,
    () => problem(401, { detail: 'The key has expired.' }),
  ])
  const [sentence, line = ''] = said[0]?.split('\n') ?? []
  assert.match(sentence ?? '', /The key has expired\. .* It may have been accepted \(event_id /)
  assert.deepEqual([ok, said.length, JSON.parse(line)], [false, 1, JSON.parse(bodies[0] ?? '')])
})
