import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { networkInterfaces } from 'node:os'
import { after, beforeEach, test } from 'node:test'
import { DeadLetterBench } from '../support/dead-letters.ts'
import { idOf } from '../support/records.ts'
import { runFirehose } from '../support/run-firehose.ts'
import { caughtUp, storedRows } from '../support/sink-health.ts'
import { until } from '../support/until.ts'

/*
 * What is stored about clients, with real connections from several addresses of this machine (all of 127.0.0.0/8 are),
 * over IPv4 and IPv6, and through a proxy.
 */

/** Of the proxy, which the API trusts, and of clients. */
const PROXY = '127.0.0.2'
const CLIENT = '127.0.0.7'
const FORGED = '198.51.100.66'
const AGENT = 'Mozilla/5.0 (X11; Linux x86_64) "quoted" \\ \t✓ 😀'
const hasIpv6 = Object.values(networkInterfaces()).some((all) =>
  all?.some(({ address }) => address === '::1'),
)

/** A header's value as Node sends it: a character for each byte. */
const bytesOf = (text: string, encoding: BufferEncoding = 'utf8'): string =>
  Buffer.from(text, encoding).toString('latin1')

const [ERASE = ''] =
  /^UPDATE events SET ip_address = NULL.*(?= WHERE)/m.exec(
    readFileSync(new URL('../../docs/OPERATIONS.md', import.meta.url), 'utf8'),
  ) ?? []

const bench = await DeadLetterBench.open()
const { pipeline, sink } = bench
/** On every address of the machine, which the network of the test does not leave. */
const address = { HOST: hasIpv6 ? '::' : '0.0.0.0', ALLOW_ANONYMOUS: 'true' }
const silent = await pipeline.startApi(address)
const whole = await pipeline.startApi({
  ...address,
  CAPTURE_CLIENT: 'ip,user_agent',
  CLIENT_ADDRESS_HEADER: 'X-Forwarded-For',
  TRUST_PROXY: PROXY,
})
const truncated = await pipeline.startApi({ ...address, CAPTURE_CLIENT: 'ip-truncated' })
const proxy = createServer(forward).listen(0, '127.0.0.1')

after(async () => {
  proxy.close()
  await pipeline.close()
})
beforeEach(async () => {
  await bench.clear()
})

interface Sending {
  /** Of the machine that the client connects to. */
  host?: string
  /** Of the client. */
  from?: string
  headers?: OutgoingHttpHeaders
  /** Through Koa instead of the fast path. */
  byKoa?: boolean
  path?: string
}

const event = (n: number, more: object = {}): string =>
  JSON.stringify({ event_id: idOf(n), user_id: n, timestamp: '2026-01-02T03:04:05Z', metadata: {}, ...more })

/** Sends a body, and returns the response with its body. */
async function send(
  url: string,
  body: string,
  { host = '127.0.0.1', from, headers = {}, byKoa = false, path = '/event' }: Sending = {},
): Promise<{ status: number | undefined; body: string }> {
  const { port } = new URL(url)
  const request = httpRequest({
    port,
    host,
    method: 'POST',
    path: byKoa ? `http://localhost:${port}${path}` : path,
    headers: { 'Content-Type': 'application/json', ...headers },
    ...(from === undefined ? {} : { localAddress: from }),
    agent: false,
  }).end(Buffer.from(body)) // a string would make Node send the headers in UTF-8
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  return { status: response.statusCode, body: Buffer.concat(await response.toArray()).toString() }
}

async function accepted(...sent: Parameters<typeof send>): Promise<void> {
  const { status, body } = await send(...sent)
  assert.equal(status, 202, body)
}

/** A proxy as most are: it appends its client's address to X-Forwarded-For, and connects from an address of its own. */
function forward(request: IncomingMessage, response: ServerResponse): void {
  const { 'x-forwarded-for': earlier, ...headers } = request.headers
  const chain = [earlier, request.socket.remoteAddress].filter((text) => text !== undefined).join(', ')
  const onward = httpRequest({
    port: new URL(whole.url).port,
    host: '127.0.0.1',
    localAddress: PROXY,
    method: 'POST',
    path: request.url,
    headers: { ...headers, 'X-Forwarded-For': chain },
    agent: false,
  })
  onward.on('response', (answer) => {
    response.writeHead(answer.statusCode ?? 500, answer.headers)
    answer.pipe(response)
  })
  request.pipe(onward)
}
const proxyUrl = (): string => `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`

interface Facts {
  ip_address: string | null
  user_agent: string | null
}

/** What is stored, in the order of the ids, once there are so many rows. */
async function facts(count: number): Promise<Facts[]> {
  await storedRows(pipeline, count)
  return await pipeline.query<Facts>(
    'SELECT text(ip_address) AS ip_address, user_agent FROM events ORDER BY event_id',
  )
}
const addresses = async (count: number): Promise<unknown[]> =>
  (await facts(count)).map(({ ip_address }) => ip_address)

test('by default nothing of the client is stored', async () => {
  await accepted(silent.url, event(1), {
    headers: { 'User-Agent': bytesOf(AGENT), 'X-Forwarded-For': FORGED },
  })
  assert.deepEqual(await facts(1), [{ ip_address: null, user_agent: null }])
})

test('the address of the connection and the User-Agent, for one event or many, on both paths', async () => {
  const headers = { 'User-Agent': bytesOf(AGENT) }
  await accepted(whole.url, event(1), { from: CLIENT, headers })
  await accepted(whole.url, event(2), { from: CLIENT, headers, byKoa: true })
  await accepted(whole.url, `[${event(3)},${event(4, { user_id: '4' })}]`, {
    from: CLIENT,
    headers,
    path: '/events',
  })
  const expected = { ip_address: `${CLIENT}/32`, user_agent: AGENT }
  assert.deepEqual(await facts(4), [expected, expected, expected, expected])
})

test('over IPv6', { skip: !hasIpv6 && 'this machine has no ::1' }, async () => {
  await accepted(whole.url, event(1), { host: '::1' })
  await accepted(truncated.url, event(2), { host: '::1' })
  assert.deepEqual(await addresses(2), ['::1/128', '::/48'])
})

test('User-Agents in UTF-8, in Latin-1, too long, empty and absent', async () => {
  const agents = [
    bytesOf('Übersicht'),
    bytesOf('Übersicht', 'latin1'),
    bytesOf('😀'.repeat(1_001)),
    '',
    undefined,
  ]
  for (const [i, agent] of agents.entries()) {
    await accepted(whole.url, event(i + 1), { headers: agent === undefined ? {} : { 'User-Agent': agent } })
  }
  assert.deepEqual(
    (await facts(5)).map(({ user_agent }) => user_agent),
    ['Übersicht', 'Übersicht', '😀'.repeat(1_000), null, null],
  )
})

test('ip-truncated stores a network', async () => {
  await accepted(truncated.url, event(1), { from: CLIENT, headers: { 'User-Agent': 'x' } })
  assert.deepEqual(await facts(1), [{ ip_address: '127.0.0.0/24', user_agent: null }])
})

test('X-Forwarded-For counts only from the trusted proxy, and only from the right', async () => {
  const forged = { 'X-Forwarded-For': FORGED }
  const twice = { 'X-Forwarded-For': [FORGED, '203.0.113.7:5678, 127.0.0.2'] }
  await accepted(whole.url, event(1), { from: CLIENT, headers: forged })
  await accepted(proxyUrl(), event(2), { from: CLIENT })
  await accepted(proxyUrl(), event(3), { from: CLIENT, headers: forged })
  await accepted(whole.url, event(4), { from: PROXY, headers: twice })
  await accepted(whole.url, event(5), { from: PROXY, headers: twice, byKoa: true })
  await accepted(whole.url, event(6), { from: PROXY, headers: { 'X-Forwarded-For': `${FORGED}, unknown` } })
  await accepted(truncated.url, event(7), { from: PROXY, headers: forged })
  const stored = [CLIENT, CLIENT, CLIENT, '203.0.113.7', '203.0.113.7', PROXY, '127.0.0.0/24']
  assert.deepEqual(
    await addresses(7),
    stored.map((text) => (text.includes('/') ? text : `${text}/32`)),
  )
})

test("a client's own ip_address and user_agent are refused", async () => {
  for (const api of [silent, whole]) {
    const { status, body } = await send(api.url, event(1, { ip_address: FORGED, user_agent: 'x' }))
    assert.equal(status, 422)
    const { errors } = JSON.parse(body) as { errors: { pointer: string }[] }
    assert.deepEqual(
      errors.map(({ pointer }) => pointer),
      ['/ip_address', '/user_agent'],
    )
  }
})

test('I2: the same event from another address and User-Agent is a duplicate; other content is a conflict', async () => {
  const { total_duplicates: earlier } = await caughtUp(sink)
  const duplicates = async (count: number): Promise<void> => {
    await until('duplicates', async () => (await caughtUp(sink)).total_duplicates === earlier + count)
  }
  await accepted(whole.url, event(1), { from: CLIENT, headers: { 'User-Agent': 'first' } })
  await storedRows(pipeline, 1)
  await pipeline.query(`UPDATE events SET metadata = '{"changed": true}'`) // so only the check tells that it is the same
  await accepted(whole.url, event(1), { from: '127.0.0.8', headers: { 'User-Agent': 'second' } })
  await accepted(truncated.url, event(1))
  await accepted(silent.url, event(1))
  await duplicates(3)
  await pipeline.query(`UPDATE events SET metadata = '{}', sent_check = NULL`) // so only the columns do
  await accepted(whole.url, event(1), { from: '127.0.0.9', headers: { 'User-Agent': 'third' } })
  await duplicates(4)
  assert.deepEqual(await facts(1), [{ ip_address: `${CLIENT}/32`, user_agent: 'first' }])
  assert.equal((await bench.states()).total, 0)
  await accepted(whole.url, event(1, { metadata: { other: true } }), { from: CLIENT })
  await bench.letters(1)
  assert.deepEqual(await pipeline.query('SELECT reason FROM dead_letters'), [{ reason: 'event_id_conflict' }])
})

test('what was erased stays erased when the records are read again, as docs/OPERATIONS.md says', async () => {
  const { total_duplicates: earlier } = await caughtUp(sink)
  await accepted(whole.url, event(1), { from: CLIENT, headers: { 'User-Agent': bytesOf(AGENT) } })
  await storedRows(pipeline, 1)
  const [first] = await pipeline.query<{ offset: string }>(
    'SELECT next_offset - 1 AS "offset" FROM sink_offsets',
  )
  await pipeline.query(ERASE)
  assert.equal((await runFirehose(pipeline.env, 'rewind', '--to', first?.offset ?? '')).code, 0)
  await until('read again', async () => (await caughtUp(sink)).total_duplicates > earlier)
  assert.deepEqual(await facts(1), [{ ip_address: null, user_agent: null }])
  assert.deepEqual(await bench.states(), { total: 0, open: 0, replayed: 0, discarded: 0 })
  const verified = await runFirehose(pipeline.env, 'verify')
  assert.equal(verified.code, 0, verified.out)
})
