import assert from 'node:assert/strict'
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import type { NodeService } from '../../embedded/node-service.ts'
import { PROBLEMS } from '../../producer-api/http/problem.ts'
import type { PrepareSend } from '../../kafka/producer/prepare-send.ts'
import { ProduceSockets } from '../../kafka/producer/produce-socket.ts'
import { KafkaPublisher } from '../../kafka/producer/kafka-publisher.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { createKafka } from '../../kafka/client.ts'
import { createLogger } from '../../platform/log.ts'
import { problemOf } from '../support/http.ts'
import { recordsOf } from '../support/records-of.ts'
import { kafkaClient } from '../support/records.ts'
import { until } from '../support/until.ts'

/* The HTTP contract with a real Kafka. For requests that the HTTP parser refuses see http-parser.test.ts. */

let pipeline: Pipeline
let api: NodeService

before(async () => {
  pipeline = await Pipeline.start()
  api = await pipeline.startApi({ CORS_ORIGINS: 'https://shop.example, https://*.app.example' })
})
after(async () => {
  await pipeline?.close()
})

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
const JSON_TYPE = { 'Content-Type': 'application/json' }
const LINES_TYPE = { 'Content-Type': 'application/x-ndjson' }

const event = (change: Record<string, unknown> = {}): string =>
  JSON.stringify({ user_id: 1, timestamp: '2025-01-31T12:00:00Z', metadata: {}, ...change })
const post = (path: string, body: string | Buffer, headers: Record<string, string> = JSON_TYPE) =>
  fetch(api.url + path, { method: 'POST', body, headers })

test('POST /event answers 202 with the id: the one sent, in lowercase, or a new UUIDv7', async () => {
  const made = await post('/event', event())
  assert.equal(made.status, 202)
  assert.equal(made.headers.get('content-type'), 'application/json')
  const answer = (await made.json()) as { event_id: string }
  assert.deepEqual(Object.keys(answer), ['status', 'event_id'])
  assert.match(answer.event_id, UUID_V7)
  const sent = await post('/event', event({ event_id: '0198C0DE-7A5B-7000-8000-0123456789AB' }))
  assert.deepEqual(await sent.json(), {
    status: 'accepted',
    event_id: '0198c0de-7a5b-7000-8000-0123456789ab',
  })
})

for (const way of ['with placeholders', 'as messages']) {
  test(`I1: records that kafkajs drops silently are not reported as accepted, ${way}`, async () => {
    const connection = { brokers: [pipeline.backend.kafka.bootstrapServers], ssl: false, sasl: undefined }
    const logger = createLogger('test', 'silent')
    const topic = { name: 'events', partitions: 4, replicationFactor: 1, retentionMs: 3_600_000 }
    const { socketFactory, prepareSend } = new ProduceSockets()
    let ended = 0
    const counting: PrepareSend = (...given) => {
      const prepared = prepareSend(...given)
      return { ...prepared, end: () => [prepared.end(), (ended += 1)] }
    }
    const publisher =
      way === 'with placeholders'
        ? new KafkaPublisher(createKafka(connection, 'test', logger, socketFactory), topic, logger, counting)
        : new KafkaPublisher(createKafka(connection, 'test', logger), topic, logger)
    await new Promise<void>((resolve) => publisher.connect(resolve))
    const records = recordsOf(Buffer.from('{}'))
    try {
      await assert.rejects(publisher.publish(99, [records]), { code: 'UNEXPECTED_PRODUCE_RESPONSE' })
      await publisher.publish(3, [records])
      assert.equal(ended, way === 'with placeholders' ? 2 : 0, 'ended sends are released')
    } finally {
      await publisher.close()
    }
  })
}

test('POST /event accepts the content types of sendBeacon, and any name of UTF-8', async () => {
  for (const type of ['text/plain;charset=UTF-8', 'Application/JSON; charset="utf-8"', 'text/plain']) {
    assert.equal((await post('/event', event(), { 'Content-Type': type })).status, 202, type)
  }
})

test('POST /events accepts an array or lines, and returns the ids in the order sent', async () => {
  const ids = [1, 2, 3].map((n) => `00000000-0000-7000-8000-00000000000${n}`)
  const events = ids.map((event_id) => event({ event_id }))
  const expected = { status: 'accepted', count: 3, event_ids: ids }
  const array = await post('/events', `[${events.join(', ')}]`)
  assert.equal(array.status, 202)
  assert.deepEqual(await array.json(), expected)
  const lines = await post('/events', `\r\n${events.join('\r\n\r\n')}\r\n`, LINES_TYPE)
  assert.equal(lines.status, 202)
  assert.deepEqual(await lines.json(), expected)
  const most = await post('/events', `${event()}\n`.repeat(1_000), LINES_TYPE)
  assert.equal(((await most.json()) as { count: number }).count, 1_000)
})

test('422 lists all faults with pointers, which begin with the index in a batch', async () => {
  const fault = '{"user_id":1.5,"timestamp":"2025-02-30T00:00:00Z","metadata":{"a":["\\u0000"]},"extra":1}'
  const one = await problemOf(await post('/event', fault), 422, 'invalid-event')
  assert.deepEqual(
    one.errors?.map((error) => error.pointer),
    ['/user_id', '/timestamp', '/metadata/a/0', '/extra'],
  )
  const many = await problemOf(await post('/events', `[${event()},${fault}]`), 422, 'invalid-event')
  assert.deepEqual(
    many.errors?.map((error) => error.pointer),
    ['/1/user_id', '/1/timestamp', '/1/metadata/a/0', '/1/extra'],
  )
  const lines = await post('/events', `\n\n${event()}\n\n{}\n`, LINES_TYPE)
  assert.equal((await problemOf(lines, 422, 'invalid-event')).errors?.[0]?.pointer, '/1/user_id')
  for (const batch of ['[]', '{}', `[${Array(1_001).fill(event()).join(',')}]`]) {
    await problemOf(await post('/events', batch), 422, 'invalid-event')
  }
})

test('400 for a body that is not JSON or not UTF-8', async () => {
  for (const body of ['', '{', 'user_id=1', `${event()} x`]) {
    await problemOf(await post('/event', body), 400, 'not-json')
  }
  await problemOf(await post('/event', Buffer.from('{"a":"\xff"}', 'latin1')), 400, 'not-utf8')
  await problemOf(await post('/events', Buffer.from('["\xff"]', 'latin1')), 400, 'not-utf8')
})

test('413 above each limit: the body, one event, the encoded batch', async () => {
  const padded = (bytes: number): string => event({ metadata: { pad: 'x'.repeat(bytes) } })
  await problemOf(await post('/event', 'x'.repeat(70_000)), 413, 'too-large')
  await problemOf(await post('/event', padded(65_536)), 413, 'too-large')
  await problemOf(await post('/events', `[${padded(65_536)}]`), 413, 'too-large')
  await problemOf(await post('/events', `[${Array(20).fill(padded(60_000)).join(',')}]`), 413, 'too-large')
  const encoded = `[${Array(1_000).fill(padded(850)).join(',')}]`
  assert.ok(encoded.length < 1024 * 1024)
  await problemOf(await post('/events', encoded), 413, 'too-large')
  assert.equal((await post('/event', padded(65_000))).status, 202)
  assert.equal((await post('/events', `[${Array(1_000).fill(padded(700)).join(',')}]`)).status, 202)
})

test('415 for other types and charsets, with the accepted ones', async () => {
  const types = ['application/x-www-form-urlencoded', 'application/json; charset=iso-8859-1', 'constructor']
  for (const type of types) {
    const answer = await post('/event', event(), { 'Content-Type': type })
    assert.equal(answer.headers.get('accept'), 'application/json, text/plain, application/cloudevents+json')
    await problemOf(answer, 415, 'unsupported-media-type')
  }
})

test('what beacons of browsers send is read as JSON: text/plain, or no type at all', async () => {
  for (const type of ['text/plain', 'text/plain;charset=UTF-8', '']) {
    const headers = { 'Content-Type': type }
    assert.equal((await post('/event', event(), headers)).status, 202, type)
    assert.equal((await post('/events', `[${event()}]`, headers)).status, 202, type)
  }
  const untyped = (path: string, body: string) =>
    fetch(api.url + path, { method: 'POST', body: new Blob([body]) })
  assert.equal((await untyped('/event', event())).status, 202)
  assert.equal((await untyped('/events', `[${event()}]`)).status, 202)
})

test('a byte order mark before the JSON is skipped', async () => {
  const mark = '\ufeff'
  assert.equal((await post('/event', mark + event())).status, 202)
  assert.equal((await post('/events', `${mark} [${event()}]`)).status, 202)
  assert.equal((await post('/events', `${mark}${event()}\n${event()}\n`, LINES_TYPE)).status, 202)
  await problemOf(await post('/event', ` ${mark}${event()}`), 400, 'not-json')
})

test('a user_id may be a string, for clients whose numbers would be rounded', async () => {
  for (const id of ['157963456373623803', '-9223372036854775808', '0']) {
    assert.equal((await post('/event', event({ user_id: id }))).status, 202, id)
  }
  for (const id of ['9223372036854775808', '01', '1.0', ' 1', '']) {
    await problemOf(await post('/event', event({ user_id: id })), 422, 'invalid-event')
  }
})

test('metrics count events, also those of a refused batch', async () => {
  const counts = async (): Promise<number[]> => {
    const { total_received: received, total_rejected } = (await api.health()) ?? {}
    const rejected = (total_rejected ?? {}) as Record<string, number>
    return [Number(received), rejected['invalid-event'] ?? 0]
  }
  const [received = 0, rejected = 0] = await counts()
  const batch = [...Array(999).fill(event()), '{}']
  await problemOf(await post('/events', `[${batch.join(',')}]`), 422, 'invalid-event')
  assert.deepEqual(await counts(), [received + 1_000, rejected + 1_000])
  await problemOf(await post('/events', batch.join('\n'), LINES_TYPE), 422, 'invalid-event')
  assert.deepEqual(await counts(), [received + 2_000, rejected + 2_000])
  await problemOf(await post('/event', '{}'), 422, 'invalid-event')
  assert.deepEqual(await counts(), [received + 2_001, rejected + 2_001])
})

test('with a list of origins, an event from a page of another origin gets 403', async () => {
  const from = (origin: string, path = '/event') =>
    post(path, path === '/event' ? event() : `[${event()}]`, { 'Content-Type': 'text/plain', Origin: origin })
  const { host } = new URL(api.url)
  for (const origin of ['https://shop.example', 'https://a.b.app.example', `http://${host}`]) {
    assert.equal((await from(origin)).status, 202, origin)
  }
  for (const origin of ['https://evil.example', 'https://app.example', 'http://shop.example', 'null']) {
    const refused = await from(origin)
    assert.equal(refused.headers.get('access-control-allow-origin'), null)
    await problemOf(refused, 403, 'foreign-origin')
    await problemOf(await from(origin, '/events'), 403, 'foreign-origin')
  }
})

test('compressed bodies are decompressed within the limits; other encodings get 415', async () => {
  for (const [coding, compress] of [
    ['gzip', gzipSync],
    ['x-gzip', gzipSync],
    ['deflate', deflateSync],
    ['deflate', deflateRawSync],
    ['br', brotliCompressSync],
    ['ZSTD', zstdCompressSync],
  ] as const) {
    const zip = { ...JSON_TYPE, 'Content-Encoding': coding }
    assert.equal((await post('/event', compress(event()), zip)).status, 202, coding)
    assert.equal((await post('/events', compress(`[${event()}]`), zip)).status, 202, coding)
    await problemOf(await post('/event', compress(Buffer.alloc(50_000_000)), zip), 413, 'too-large')
    await problemOf(await post('/event', compress(event()).subarray(0, -9), zip), 400, 'bad-request')
  }
  const other = await post('/event', event(), { ...JSON_TYPE, 'Content-Encoding': 'br, gzip' })
  assert.equal(other.headers.get('accept-encoding'), 'gzip, deflate, br, zstd')
  await problemOf(other, 415, 'unsupported-media-type')
})

test('404, and 405 with Allow; HEAD and OPTIONS work', async () => {
  await problemOf(await fetch(`${api.url}/nowhere`), 404, 'not-found')
  await problemOf(await fetch(`${api.url}/problems/%E0%A4%A`), 404, 'not-found')
  const wrong = await fetch(`${api.url}/event`)
  assert.equal(wrong.headers.get('allow'), 'OPTIONS, POST')
  await problemOf(wrong, 405, 'method-not-allowed')
  const head = await fetch(`${api.url}/health`, { method: 'HEAD' })
  assert.equal(head.status, 200)
  assert.ok(Number(head.headers.get('content-length')) > 0)
  assert.equal((await fetch(`${api.url}/event`, { method: 'HEAD' })).status, 405)
  const options = await fetch(`${api.url}/health`, { method: 'OPTIONS' })
  assert.equal(options.status, 204)
  assert.equal(options.headers.get('allow'), 'GET, HEAD, OPTIONS')
})

test('the log says what is wrong with a refused request, and nothing that the client wrote', async () => {
  const logged = async (path: string, body: string): Promise<Record<string, unknown>> => {
    const id = `refused-${randomUUID()}`
    await post(path, body, { ...JSON_TYPE, 'X-Request-Id': id })
    const lineOf = () =>
      readFileSync(pipeline.path('producer-api-0.log'), 'utf8')
        .split('\n')
        .find((line) => line.includes(id))
    await until('the line', () => lineOf() !== undefined)
    const line = lineOf() ?? ''
    assert.ok(!line.includes('secret'), line)
    return JSON.parse(line) as Record<string, unknown>
  }
  const id = await logged('/event', event({ user_id: 'secret' }))
  assert.deepEqual([id.msg, id.pointer], ['request refused', '/user_id'])
  assert.match(String(id.detail), /^user_id must be an integer from /)
  const time = await logged('/events', `[${event()},${event({ timestamp: 'secret' })}]`)
  assert.equal(time.pointer, '/1/timestamp')
  const name = await logged('/events', `[${event({ secret: 1 })}]`)
  assert.deepEqual([name.pointer, name.detail], ['/0', 'It has a name that is not a field of an event.'])
  const deep = await logged('/event', event({ metadata: { secret: ['\u0000'] } }))
  assert.deepEqual(
    [deep.pointer, deep.detail],
    ['/metadata', 'A string must not contain the character \\u0000.'],
  )
  const json = await logged('/event', '{"secret"')
  assert.deepEqual([json.pointer, json.detail], [undefined, 'Byte 9: the text ends too early.'])
})

test('a valid X-Request-Id is used; otherwise one is generated', async () => {
  const withId = (id: string) => fetch(`${api.url}/livez`, { headers: { 'X-Request-Id': id } })
  assert.equal((await withId('order-7:a/b=')).headers.get('x-request-id'), 'order-7:a/b=')
  for (const id of ['two words', 'x'.repeat(129), '"quoted"']) {
    assert.match((await withId(id)).headers.get('x-request-id') ?? '', /^[0-9a-f-]{36}$/)
  }
})

test('CORS for the listed origins only, including preflight requests', async () => {
  const preflight = (origin: string) =>
    fetch(`${api.url}/event`, {
      method: 'OPTIONS',
      headers: {
        Origin: origin,
        'Access-Control-Request-Method': 'POST',
        'Access-Control-Request-Headers': 'content-type',
      },
    })
  const allowed = await preflight('https://beta.app.example')
  assert.equal(allowed.status, 204)
  assert.equal(allowed.headers.get('access-control-allow-origin'), 'https://beta.app.example')
  assert.equal(allowed.headers.get('access-control-allow-headers'), 'content-type')
  assert.match(allowed.headers.get('access-control-allow-methods') ?? '', /POST/)
  assert.equal((await preflight('https://evil.example')).headers.get('access-control-allow-origin'), null)
  const refused = await post('/event', '{', { ...JSON_TYPE, Origin: 'https://shop.example' })
  assert.equal(refused.headers.get('access-control-allow-origin'), 'https://shop.example')
  assert.match(
    refused.headers.get('access-control-expose-headers') ?? '',
    /X-Request-Id.*Retry-After.*Preference-Applied/,
  )
  await problemOf(refused, 400, 'not-json')
})

test('/docs is a page without external resources; / redirects to it', async () => {
  const root = await fetch(`${api.url}/`, { redirect: 'manual' })
  assert.deepEqual([root.status, root.headers.get('location')], [302, '/docs'])
  const page = await (await fetch(`${api.url}/docs`)).text()
  const references = [...page.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] ?? '')
  assert.ok(references.length >= 4)
  for (const reference of references) {
    assert.match(reference, /^\/[^/]/)
    assert.equal((await fetch(api.url + reference)).status, 200, reference)
  }
  const document = (await (await fetch(`${api.url}/openapi.json`)).json()) as { paths: object }
  for (const path of Object.keys(document.paths)) {
    assert.notEqual((await fetch(api.url + path)).status, 404, path)
  }
  for (const [name, { status, title }] of Object.entries(PROBLEMS)) {
    const described = await fetch(`${api.url}/problems/${name}`)
    assert.deepEqual(await described.json(), { type: `/problems/${name}`, title, status })
  }
})

test('livez, readyz, health and metrics are consistent', async () => {
  assert.equal((await fetch(`${api.url}/livez`)).status, 200)
  assert.equal((await fetch(`${api.url}/readyz`)).status, 200)
  await post('/event', event())
  const health = await api.health()
  assert.deepEqual(Object.keys(health ?? {}), [
    'status',
    'queue_size',
    'queue_bytes',
    'total_received',
    'total_accepted',
    'total_rejected',
    'in_flight',
    'user_id_type',
    'access',
    'uptime',
  ])
  const rejected = Object.values(health?.total_rejected ?? {}).reduce((sum, n) => sum + n, 0)
  assert.equal(health?.total_received, Number(health?.total_accepted) + rejected)
  const metrics = await (await fetch(`${api.url}/metrics`)).text()
  assert.match(
    metrics,
    new RegExp(`^firehose_api_events_accepted_total ${String(health?.total_accepted)}$`, 'm'),
  )
  assert.match(metrics, /^firehose_api_events_rejected_total\{reason="too-large"\} \d+$/m)
  assert.match(metrics, /^firehose_api_accept_latency_seconds_bucket\{le="\+Inf"\} \d+$/m)
})

test('records in Kafka have the canonical form, with the metadata byte for byte', async () => {
  const ids = ['a1', 'a2', 'a3'].map((last) => `00000000-0000-7000-8000-0000000000${last}`)
  const metadata = '{ "big": 12345678901234567890, "z":1e400 ,"ä":"\\u00e4"}'
  const body = (id?: string) =>
    `{"metadata":${metadata},"timestamp":"2025-01-31T12:00:00.1234567+02:00","user_id":-0${id ? `,"event_id":"${id.toUpperCase()}"` : ''}}`
  await post('/event', body(ids[0]))
  await post('/events', `[${body(ids[1])}]`)
  const lenient = await post('/events', `7\n${body(ids[2])}`, { ...LINES_TYPE, Prefer: 'handling=lenient' })
  assert.deepEqual(Reflect.get((await lenient.json()) as object, 'event_ids'), [null, ids[2]])
  const found = new Map<string, string>()
  const consumer = kafkaClient(pipeline.backend.kafka.bootstrapServers).consumer({
    groupId: 'contract',
    maxWaitTimeInMs: 100,
  })
  await consumer.connect()
  try {
    await consumer.subscribe({ topic: 'events', fromBeginning: true })
    await consumer.run({
      eachMessage: async ({ message }) => {
        const text = message.value?.toString() ?? ''
        found.set(text.slice(13, 49), text)
        assert.equal(message.key, null)
        assert.deepEqual({ ...message.headers }, {})
      },
    })
    await until('the records', () => ids.every((id) => found.has(id)))
  } finally {
    await consumer.disconnect()
  }
  for (const id of ids) {
    const text = found.get(id) ?? ''
    const receivedAt = /"received_at":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)"/.exec(text)?.[1]
    assert.equal(
      text,
      `{"event_id":"${id}","user_id":0,"timestamp":"2025-01-31T10:00:00.123456Z","received_at":"${receivedAt}","metadata":${metadata}}`,
    )
  }
})
