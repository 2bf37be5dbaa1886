import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { after, before, test } from 'node:test'
import type { NodeService } from '../../embedded/node-service.ts'
import { freePorts } from '../../embedded/ports.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { idOf, record, withProducer } from '../support/records.ts'
import { withAdmin } from '../support/topic.ts'
import { until } from '../support/until.ts'

/* The commands send, tail and where, as processes of their own. */

let pipeline: Pipeline
let api: NodeService
let sink: NodeService
const children = new Set<ChildProcess>()

before(async () => {
  pipeline = await Pipeline.start()
  api = await pipeline.startApi() // creates the topic
  sink = await pipeline.startSink()
})
after(async () => {
  for (const child of children) child.kill('SIGKILL') // those that a failed test has left
  await pipeline?.close()
})

interface Ended {
  code: number | null
  out: string
  said: string
}

function start(name: string, args: string[], env: NodeJS.ProcessEnv = {}): ChildProcess {
  const flags = ['--disable-warning=TimeoutNegativeWarning', 'cli/firehose.ts', name, ...args]
  const child = spawn(process.execPath, flags, { env: { ...pipeline.env, API_URL: api.url, ...env } })
  children.add(child)
  child.once('close', () => children.delete(child))
  return child
}

async function ended(child: ChildProcess): Promise<Ended> {
  const [out, said] = [child.stdout, child.stderr].map(async (stream) => (stream ? await text(stream) : ''))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, out: (await out) ?? '', said: (await said) ?? '' }
}

async function run(name: string, args: string[], env?: NodeJS.ProcessEnv, input = ''): Promise<Ended> {
  const child = start(name, args, env)
  child.stdin?.end(input)
  return await ended(child)
}

async function whereIs(id: string, ...args: string[]): Promise<Ended> {
  return await run('where', [id, ...args])
}

async function produce(...values: string[]): Promise<void> {
  await withProducer(pipeline.backend.kafka.bootstrapServers, async (send) => {
    await send(values.map((value) => ({ value, partition: 0 })))
  })
}

async function groups(): Promise<string[]> {
  return await withAdmin(pipeline.backend.kafka.bootstrapServers, async (admin) =>
    (await admin.listGroups()).groups.map(({ groupId }) => groupId),
  )
}

/** Starts `tail`, and waits until it reports what is sent from now on. */
async function startTail(...args: string[]): Promise<{
  child: ChildProcess
  printed: () => string
  end: Promise<Ended>
}> {
  const child = start('tail', args)
  const end = ended(child)
  let said = ''
  let printed = ''
  child.stderr?.on('data', (chunk) => (said += chunk))
  child.stdout?.on('data', (chunk) => (printed += chunk))
  await until('tail has started', () => said.includes('Waiting for records of topic events (4 partitions)'))
  return { child, printed: () => printed, end }
}

test('send passes on every digit, and where finds the row', async () => {
  const metadata = '{"exact":12345678901234567890.10,\n"page":"/pricing"}'
  const more = [
    '--name',
    'signup "1"',
    '--session',
    's',
    '--anonymous',
    'v',
    '--source',
    'web',
    '--type',
    'track',
  ]
  const sent = await run('send', ['--user-id', '9223372036854775807', '--metadata', metadata, ...more])
  assert.deepEqual([sent.code, sent.said], [0, ''])
  const id = sent.out.trim()
  assert.match(id, /^[0-9a-f]{8}-[0-9a-f]{4}-7/)
  await until(
    'stored',
    async () => (await pipeline.query('SELECT 1 FROM events WHERE event_id = $1', [id]))[0],
  )

  const found = await whereIs(id)
  assert.equal(found.code, 0)
  assert.match(found.out, new RegExp(`^stored +a row of events, event_id ${id}\nreceived_at +20`))
  assert.match(found.out, /^user_id +9223372036854775807$/m)
  assert.match(
    found.out,
    /^anonymous_id v\nevent_name +signup "1"\nevent_type +track\nsession_id +s\nsource +web$/m,
  )
  assert.doesNotMatch(found.out, /metadata|pricing/)
  const json = (await whereIs(id.toUpperCase(), '--metadata', '--json')).out
  assert.match(json, /"found":"stored","row":\{"user_id":9223372036854775807,"timestamp":"20/)
  assert.match(json, /"metadata":\{"page": "\/pricing", "exact": 12345678901234567890\.10\}\}/)
})

test('send reads events from standard input, and reports the faults of each', async () => {
  const good = (n: number): string => `{"event_id":"${idOf(n)}","user_id":${n},"metadata":{}}`
  const input = `${good(1)}\n\n{"user_id":"two","metadata":[]}\n${good(3)}`
  const sent = await run('send', ['-'], {}, input)
  assert.equal(sent.code, 1)
  assert.equal(sent.out, `${idOf(1)}\n${idOf(3)}\n`)
  const faults = sent.said.trim().split('\n')
  assert.equal(faults.length, 2)
  assert.match(faults[0] ?? '', /^Event 2: \/user_id: user_id must be an integer/)
  assert.match(faults[1] ?? '', /^Event 2: \/metadata: metadata must be a JSON object/)
})

test('send says in one sentence that the API is down', async () => {
  const [port = 0] = await freePorts(1)
  const args = [
    '--user-id',
    '1',
    '--metadata',
    '{}',
    '--retry-for',
    '0.5',
    '--url',
    `http://127.0.0.1:${port}`,
  ]
  const sent = await run('send', args)
  assert.deepEqual([sent.code, sent.out], [1, ''])
  const url = `http://127.0.0.1:${port} did not accept the event within 0.5 s`
  assert.equal(sent.said, `${url}: connect ECONNREFUSED 127.0.0.1:${port}.\n`)
  assert.equal((await run('send', ['--user-id', '1', '--metadata', '{'])).code, 64)
})

test('tail prints what is sent after its start, and nothing before, without a consumer group', async () => {
  await produce(record(10))
  const own = await groups()
  assert.deepEqual(own, [pipeline.groupId])
  const [json, lines] = await Promise.all([startTail('--json', '--limit', '3'), startTail()])
  await produce(record(11), 'not JSON', record(12).replace('{', '{\n'))
  await produce(record(13, { metadata: { page: '\u009b' } }))
  assert.deepEqual(await json.end, {
    code: 0,
    out: `${record(11)}\n${record(12).replace('{', '{ ')}\n`,
    said: (await json.end).said,
  })
  assert.match((await json.end).said, /^0:\d+ undecodable: The value is not JSON at byte \d: /m)
  assert.deepEqual(await groups(), own)

  await until('the last record', () => lines.printed().includes(idOf(13)))
  lines.child.kill('SIGINT')
  const { code, out } = await lines.end
  assert.equal(code, 0)
  const places = out.trim().split('\n')
  assert.equal(places.length, 4)
  assert.match(
    places[0] ?? '',
    new RegExp(`^2026-01-02T03:04:06Z {2}0:\\d+ {2}${idOf(11)} {2}11 {2}{"page":"/p/11"}$`),
  )
  assert.match(places[1] ?? '', /^20\S+Z {2}0:\d+ {2}undecodable: The value is not JSON/)
  assert.ok(places[3]?.endsWith('{"page":"\\u009b"}'))
  assert.deepEqual(await groups(), own)
})

test('where finds a dead letter with its reason, also beside the row with the same id', async () => {
  await produce(record(20, { user_id: 1.5 }), record(21), record(21, { user_id: 1 }))
  await until('all is stored', async () => await pipeline.isCaughtUp())
  const dead = await whereIs(idOf(20))
  assert.equal(dead.code, 1)
  assert.match(
    dead.out,
    /^dead letter +0:\d+ of topic events, cluster \S+\nreason +undecodable\nstate +open\n/,
  )
  const both = await whereIs(idOf(21))
  assert.equal(both.code, 0)
  assert.match(both.out, /^stored [^]*\nuser_id +21\n[^]*\nreason +event_id_conflict 23505\n/)
})

test('where says of an unknown id how far the sink is', async () => {
  const unknown = '00000000-0000-7000-8000-ffffffffffff'
  await until('all is stored', async () => await pipeline.isCaughtUp())
  const none = await whereIs(unknown)
  assert.equal(none.code, 1)
  assert.match(none.out, /^Not seen: .*\nThe sink has stored every record of topic events/)

  await sink.stop(10_000)
  await produce(record(30), record(31))
  const [closed = 0] = await freePorts(1)
  const [waiting, json, noKafka, noPostgres, noId] = await Promise.all([
    whereIs(idOf(30)),
    whereIs(idOf(30), '--json'),
    run('where', [unknown], { KAFKA_BOOTSTRAP_SERVERS: `127.0.0.1:${closed}` }),
    run('where', [unknown], { DATABASE_URL: `postgresql://u:p@127.0.0.1:${closed}/d` }),
    run('where', ['42']),
  ])
  assert.equal(waiting.code, 1)
  assert.match(
    waiting.out,
    /^Not seen: .*\n2 records of topic events are not stored yet, and the event may be among/,
  )
  assert.match(json.out, /"found":"not_seen",.*"records_not_stored":2,"problem":null/)
  assert.equal(noKafka.code, 1)
  assert.match(noKafka.out, /^Not seen: .*\nKafka cannot be reached .*: the event may still be in Kafka\.$/m)
  assert.equal(noPostgres.code, 2)
  assert.match(
    noPostgres.said,
    /^PostgreSQL at 127\.0\.0\.1:\d+\/d \(DATABASE_URL\) cannot be used: connect ECONNREFUSED/,
  )
  assert.equal(noId.code, 64)
})
