import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import { CloudEvent, type CloudEventV1, HTTP } from 'cloudevents'
import type { NodeService } from '../../embedded/node-service.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { type Problem, problemOf } from '../support/http.ts'
import { type Program, pythonProgram } from '../support/other-clients.ts'
import { until } from '../support/until.ts'

/* CloudEvents as the public SDKs make them, in their three modes, up to their rows. */

interface Row {
  id: string
  user_id: string
  timestamp: string
  event_name: string
  event_type: string | null
  session_id: string | null
  anonymous_id: string | null
  source: string
  is_data: boolean
}

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

const send = (path: string, headers: object, body: unknown): Promise<Response> =>
  fetch(api.url + path, {
    method: 'POST',
    headers: { ...headers } as Record<string, string>,
    body: String(body),
  })

/** The rows with these ids, once all are stored, in their order. `is_data`: whether the metadata are this text. */
async function rowsOf(ids: readonly string[], data: string): Promise<Row[]> {
  return await until(`${ids.length} rows`, async () => {
    const { rows } = await pipeline.db.query<Row>(
      `SELECT event_id AS id, user_id::text, to_char("timestamp" AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US') AS timestamp,
         event_name, event_type, session_id, anonymous_id, source, metadata = $2::jsonb AS is_data
       FROM events WHERE event_id = ANY($1::uuid[]) ORDER BY array_position($1::uuid[], event_id)`,
      [ids, data],
    )
    return rows.length === ids.length ? rows : undefined
  })
}

const DATA = '{"n": 9007199254740993, "z": 1e400, "text": "café"}'

/** An event of the SDK. Its data have numbers that JavaScript has not, but can print. */
function eventOf(id: string, more: Partial<CloudEventV1<unknown>> = {}): CloudEvent<unknown> {
  return new CloudEvent({
    id,
    source: '/shop/checkout',
    type: 'com.example.order placed',
    time: '2026-01-02T03:04:05.123Z',
    subject: '42',
    anonymousid: 'v-1',
    sessionid: 's-1',
    eventtype: 'track',
    data: { n: JSON.rawJSON('9007199254740993'), z: JSON.rawJSON('1e400'), text: 'café' },
    ...more,
  })
}

/** Sends events in the three modes; returns the ids in their order. */
async function sendAll(binary: string, structured: string, batch: string[]): Promise<string[]> {
  const answers = [
    await send('/event', HTTP.binary(eventOf(binary)).headers, HTTP.binary(eventOf(binary)).body),
    await send(
      '/event',
      HTTP.structured(eventOf(structured)).headers,
      HTTP.structured(eventOf(structured)).body,
    ),
    await send(
      '/events',
      { 'Content-Type': 'application/cloudevents-batch+json; charset=utf-8' },
      JSON.stringify(batch.map((id) => eventOf(id))),
    ),
  ]
  const ids: string[] = []
  for (const answer of answers) {
    assert.equal(answer.status, 202, await answer.clone().text())
    const body = (await answer.json()) as { event_id?: string; event_ids?: string[] }
    ids.push(...(body.event_ids ?? [body.event_id ?? '']))
  }
  return ids
}

test('the JavaScript SDK: each mode gives the row of its attributes, with data as sent', async () => {
  const ids = await sendAll('js-binary', 'js-structured', ['js-batch-1', 'js-batch-2'])
  assert.equal(new Set(ids).size, 4)
  for (const id of ids) assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-8/)
  const rows = await rowsOf(ids, DATA)
  assert.deepEqual(
    rows,
    ids.map((id) => ({
      id,
      user_id: '42',
      timestamp: '2026-01-02 03:04:05.123000',
      event_name: 'com.example.order placed',
      event_type: 'track',
      session_id: 's-1',
      anonymous_id: 'v-1',
      source: '/shop/checkout',
      is_data: true,
    })),
  )
})

test('I2: the same CloudEvent sent twice, in whichever modes, is one row, with a UUID as its id or without', async () => {
  for (const id of ['js-same', '0198c0de-7a5b-7000-8000-0123456789ab']) {
    const ids = await sendAll(id, id, [id, id])
    assert.equal(new Set([...ids, ...(await sendAll(id, id, [id]))]).size, 1)
    assert.equal((await rowsOf(ids.slice(0, 1), DATA))[0]?.is_data, true)
  }
  await until('everything is read', async () => (await pipeline.verify()).ok)
  const { rows } = await pipeline.db.query('SELECT reason FROM dead_letters')
  assert.deepEqual(rows, [])
})

test('the JavaScript SDK: data that are no JSON are a 415 with the reason, in each mode', async () => {
  const text = eventOf('js-text', { data: 'hello', datacontenttype: 'text/plain' })
  const bytes = eventOf('js-bytes', {
    data: Buffer.from([0, 1]),
    datacontenttype: 'application/octet-stream',
  })
  for (const event of [text, bytes]) {
    const { headers, body } = HTTP.binary(event)
    const binary = await problemOf(await send('/event', headers, body), 415, 'unsupported-media-type')
    assert.match(binary.detail, /content type of a CloudEvent in binary mode/)
    const { headers: type, body: json } = HTTP.structured(event)
    for (const path of ['/event', '/events']) {
      const structured = await problemOf(await send(path, type, json), 415, 'unsupported-media-type')
      assert.match(structured.detail, /data_base64|datacontenttype/)
    }
  }
  const batch = await send('/event', { 'Content-Type': 'application/cloudevents-batch+json' }, '[]')
  const { detail } = await problemOf(batch, 415, 'unsupported-media-type')
  assert.equal(detail, 'A batch of CloudEvents must be sent to POST /events.')
})

test('the command in the README is accepted', async () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
  const [, command = ''] = /### CloudEvents[^]*?```sh\n(curl -i [^]*?)\n```/.exec(readme) ?? []
  const answer = execFileSync('sh', ['-c', command.replace('http://127.0.0.1:8000', api.url)], {
    encoding: 'utf8',
  })
  const [, id = ''] = /^HTTP\/1.1 202 [^]*"event_id":"([^"]*)"/.exec(answer) ?? []
  const [row] = await rowsOf([id], '{"total": 19.99}')
  assert.deepEqual(
    [row?.event_name, row?.source, row?.user_id, row?.is_data],
    ['checkout', '/shop', '42', true],
  )
})

test('the Python SDK: each mode gives the row of its attributes, and what cannot be stored is a 415', async (t) => {
  const program: Program = await pythonProgram('cloud_events.py', 'cloudevents==2.2.0')
  if ('missing' in program) {
    t.skip(program.missing)
    return
  }
  type Answer = { status: number; body: { event_id?: string; event_ids?: string[] } & Partial<Problem> }
  const runs = [await program.run([api.url]), await program.run([api.url])].map((output) =>
    output.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Answer])),
  )
  const [ids = [], again] = runs.map((answers) =>
    answers.slice(0, 3).flatMap(({ status, body }) => {
      assert.equal(status, 202, JSON.stringify(body))
      return body.event_ids ?? [body.event_id ?? '']
    }),
  )
  assert.deepEqual(again, ids, 'the same events have the same ids')
  assert.deepEqual(
    await rowsOf(ids, DATA),
    ids.map((id) => ({
      id,
      user_id: '9007199254740993',
      timestamp: '2026-01-02 03:04:05.123456',
      event_name: 'order ☕ placed',
      event_type: null,
      session_id: 's "1"',
      anonymous_id: null,
      source: '/kiosk/café 100%',
      is_data: true,
    })),
  )
  const refused = runs[0]?.slice(3) ?? []
  assert.equal(refused.length, 6)
  for (const { status, body } of refused) {
    assert.equal(status, 415, JSON.stringify(body))
    assert.match(body.detail ?? '', /data_base64|datacontenttype|binary mode/)
  }
})
