import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { after, describe, test, type TestContext } from 'node:test'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { BadProxy, type Step } from '../support/bad-proxy.ts'
import { commandLines } from '../support/command-lines.ts'
import { ROOT } from '../support/run-firehose.ts'
import { COMMANDS, runSender } from '../support/senders.ts'
import { until } from '../support/until.ts'

/* I2 for the senders of examples/, each against the running API, behind a proxy that loses answers and refuses requests. */

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\n$/
const METADATA =
  '{"event_id": "inner", "n": [1.50, 9007199254740993, 1e400], "text": "\\u00e9 é \\" } { <\\\\", "o": {"timestamp": 1}}'
const EVENT = `{"user_id": 9007199254740993,\n "metadata": ${METADATA}}\n`
const KEY = 'fh_server_thisisnosecret'

const pipeline = await Pipeline.start()
const api = await pipeline.startApi()
await pipeline.startSink()
/** The body of each accepted event, by its id. */
const accepted = new Map<string, string>()

after(async () => {
  await pipeline.close()
})

describe('senders', { concurrency: true }, async () => {
  for (const [name, commandOf] of Object.entries(COMMANDS)) {
    const command = await commandOf(join(ROOT, 'examples', name), pipeline.path(''))
    if ('missing' in command) {
      test(name, { skip: command.missing }, () => {})
      continue
    }
    describe(name, () => {
      test(`I2: ${name} repeats the same body until it is accepted`, async (t) => {
        const proxy = await proxyWith(
          t,
          { forwards: true, answer: 'drop' },
          { forwards: false, answer: { status: 503, retryAfter: '1' } },
          { forwards: false, answer: { status: 429 } },
          { forwards: false, answer: { status: 408 } },
          { forwards: true, answer: { status: 502 } },
        )
        const { code, out, err } = await runSender([...command, proxy.url], EVENT)
        assert.equal(code, 0, err)
        assert.match(out, UUID_V7)
        assert.equal(proxy.requests.length, 6)
        await stored(out, proxy)
        const waitsMs = proxy.requests.slice(1).map(({ atMs }, n) => atMs - (proxy.requests[n]?.atMs ?? 0))
        for (const [n, waitMs] of waitsMs.entries()) {
          const leastMs = 125 * 2 ** n + (n === 1 ? 1_000 : 0)
          assert.ok(waitMs > leastMs - 10, `wait ${n + 1}: ${waitMs} ms`)
        }
      })

      test(`I2: ${name} does not wait for the rest of an answer`, async (t) => {
        const proxy = await proxyWith(t, { forwards: true, answer: 'hang' })
        const { code, out, err } = await runSender([...command, proxy.url], EVENT)
        assert.equal(code, 0, err)
        assert.equal(proxy.requests.length, 2)
        await stored(out, proxy)
      })

      test(`I2: ${name} gives up, and what it prints can be sent again`, async (t) => {
        const retryAfter = new Date(Date.now() + 3_600_000).toUTCString()
        const proxy = await proxyWith(t, { forwards: true, answer: { status: 503, retryAfter } })
        const gaveUp = await runSender([...command, proxy.url], EVENT)
        assert.equal(gaveUp.code, 75, gaveUp.err)
        assert.equal(gaveUp.out, '')
        assert.match(gaveUp.err, /not accepted in time: 503 not now/)
        const [, body = ''] = gaveUp.err.split('Send exactly this again, and it is stored once:\n')
        const { code, out, err } = await runSender([...command, proxy.url], body)
        assert.equal(code, 0, err)
        assert.equal(proxy.requests.length, 2)
        await stored(out, proxy)
      })

      test(`${name} shows why an event is refused, and does not repeat it`, async (t) => {
        const proxy = await proxyWith(t)
        const refused = await runSender([...command, proxy.url], '{"user_id": "no number", "metadata": 1}')
        assert.equal(refused.code, 1)
        assert.equal(refused.out, '')
        assert.match(refused.err, /refused: 422 .*"\/user_id".*"\/metadata"/)
        assert.equal(proxy.requests.length, 1)
        const noJson = await runSender([...command, proxy.url], 'no JSON')
        assert.equal(noJson.code, 1)
        assert.match(noJson.err, /The event was refused: /)
        assert.ok(proxy.requests.length <= 2)
      })

      test(`${name} sends an example without an event, to an address that ends with a slash`, async (t) => {
        const proxy = await proxyWith(t)
        const { code, out, err } = await runSender([...command, `${proxy.url}/`], '')
        assert.equal(code, 0, err)
        await stored(out, proxy, { userId: '42', metadata: '{"page": "/pricing"}' })
      })

      test(`${name} reads an event after a byte order mark`, async (t) => {
        const proxy = await proxyWith(t)
        const { code, out, err } = await runSender([...command, proxy.url], `\ufeff${EVENT}`)
        assert.equal(code, 0, err)
        await stored(out, proxy)
      })

      test(`${name} sends API_KEY as a bearer token, which no command line shows`, async (t) => {
        const seen: { authorization: string | undefined; isShown: boolean }[] = []
        const server = createServer(({ headers: { authorization } }, response) => {
          seen.push({ authorization, isShown: commandLines().includes(KEY) })
          response.writeHead(202, { 'Content-Type': 'application/json' })
          response.end('{"status":"accepted","event_id":"0198c0de-7a5b-7000-8000-0123456789ab"}')
        })
        server.listen(0, '127.0.0.1')
        await once(server, 'listening')
        t.after(() => server.close().closeAllConnections())
        const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
        for (const API_KEY of [KEY, '', undefined]) {
          const { code, err } = await runSender([...command, url], EVENT, { API_KEY })
          assert.equal(code, 0, err)
        }
        assert.deepEqual(seen, [
          { authorization: `Bearer ${KEY}`, isShown: false },
          { authorization: undefined, isShown: false },
          { authorization: undefined, isShown: false },
        ])
      })

      test(`${name} says how it is used`, async () => {
        const { code, err } = await runSender([...command, '127.0.0.1:8000'], EVENT)
        assert.equal(code, 64)
        assert.match(err, /^usage: .* http:\/\/HOST:PORT <event.json\n$/)
      })
    })
  }
})

test('I2: what the senders sent is stored once, and Kafka holds some of it twice', async () => {
  await until('the sink has caught up', async () => await pipeline.isCaughtUp())
  assert.equal(await pipeline.countEvents(), accepted.size)
  const ackedFile = pipeline.path('acked.tsv')
  writeFileSync(
    ackedFile,
    [...accepted].map(([id, body]) => `${id}\t${body.replaceAll('\n', ' ')}\n`).join(''),
  )
  const verdict = await pipeline.verify(ackedFile)
  assert.ok(verdict.ok, JSON.stringify(verdict))
  assert.equal(verdict.acked, accepted.size)
  assert.ok(verdict.records > accepted.size)
})

test('every sender of examples/ is tested', () => {
  const others = new Set(['README.md', 'kubernetes.yaml', 'send-event.mjs'])
  const senders = readdirSync(join(ROOT, 'examples')).filter((name) => !others.has(name))
  assert.deepEqual(senders.toSorted(), Object.keys(COMMANDS).toSorted())
})

async function proxyWith(t: TestContext, ...script: Step[]): Promise<BadProxy> {
  const proxy = await BadProxy.start(api.url, ...script)
  t.after(() => proxy.close())
  return proxy
}

/** All requests had the same body, and this event is a row, with the id that the sender printed. */
async function stored(
  out: string,
  { requests }: BadProxy,
  { userId, metadata } = { userId: '9007199254740993', metadata: METADATA },
): Promise<void> {
  const id = out.trim()
  const [body = ''] = requests.map((each) => each.body)
  assert.ok(
    requests.every((each) => each.body === body),
    'each body is the same',
  )
  assert.ok(body.includes(`"event_id": "${id}"`), body)
  accepted.set(id, body)
  await until(`the row of ${id}`, async () => {
    const rows = await pipeline.query(
      'SELECT FROM events WHERE event_id = $1 AND user_id = $2 AND metadata = $3::jsonb',
      [id, userId, metadata],
    )
    return rows.length === 1
  })
}
