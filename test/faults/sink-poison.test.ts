import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import type { IHeaders, Message } from 'kafkajs'
import type { NodeService } from '../../embedded/node-service.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { rssMiB } from '../support/processes.ts'
import { idOf, record, withProducer } from '../support/records.ts'
import { caughtUp } from '../support/sink-health.ts'
import { createTopic } from '../support/topic.ts'
import { until } from '../support/until.ts'

/*
 * I6: any bad record in the topic becomes a dead letter with its reason, its neighbours are stored, and the sink continues.
 * Each record contains the word SECRET, which must not appear in a log.
 */

const MIB = 1024 * 1024
const SECRET = 'tell-nobody'

let pipeline: Pipeline
let sink: NodeService

before(async () => {
  pipeline = await Pipeline.start({ LOG_LEVEL: 'debug' })
  await createTopic(pipeline.backend.kafka.bootstrapServers, 1, [
    { name: 'max.message.bytes', value: String(64 * MIB) },
    { name: 'message.timestamp.after.max.ms', value: '9223372036854775807' }, // accept any timestamp of a producer
  ])
  sink = await pipeline.startSink()
})
after(async () => {
  await pipeline?.close()
})

/** A canonical record with the value of one field replaced by other text. */
function withField(field: string, json: string): string {
  const object = JSON.parse(record(1, { metadata: { SECRET } })) as Record<string, unknown>
  const members = Object.entries(object).map(([name, value]) => [name, JSON.stringify(value)])
  return `{${members.map(([name, text]) => `"${name}":${name === field ? json : text}`).join()}}`
}

const time = (text: string): string => withField('timestamp', `"${text}"`)
const metadata = (json: string): string => withField('metadata', json)
const nested = (levels: number): string => `${'{"a":'.repeat(levels)}1${'}'.repeat(levels)}`
/** `text` as bytes, with one of them replaced. */
function bytes(text: string, at: string, byte: number): Buffer {
  const buffer = Buffer.from(text)
  buffer[buffer.indexOf(at)] = byte
  return buffer
}

const NOT_JSON = /^The value is not JSON at byte \d+/
const NOT_UTF8 = /^The value is not UTF-8 at byte \d+/
const NOT_OBJECT = /^The value is not a JSON object$/
const BAD_ID = /^event_id is not a UUID$/
const LACKS_BOTH = /^user_id and anonymous_id are missing$/
const BAD_USER = /^user_id is not an integer within int8$/
const BAD_TIME = /^timestamp is not a date and time$/
const BAD_RECEIVED = /^received_at is not a date and time$/
const BAD_METADATA = /^metadata is not a JSON object$/
const NO_JSONB = /^metadata cannot be stored as jsonb at byte \d+/

const BY_FIELD = {
  event_id: BAD_ID,
  user_id: BAD_USER,
  timestamp: BAD_TIME,
  received_at: BAD_RECEIVED,
  metadata: BAD_METADATA,
}
const OF_OTHER_TYPES = Object.entries(BY_FIELD).flatMap(([field, message]) =>
  ['null', 'true', '1.5', `"${SECRET}"`, `["${SECRET}"]`, ...(field === 'metadata' ? [] : ['{}'])].map(
    (json): [string, RegExp] => {
      // A space: just as an API with USER_ID_TYPE=text writes it, a text would pause the sink.
      const value = withField(field, json).replace(',"metadata"', ', "metadata"')
      return [value, field === 'user_id' && json === 'null' ? LACKS_BOTH : message]
    },
  ),
)

const POISON: [string | Buffer | null, RegExp][] = [
  [`${SECRET} is no JSON`, NOT_JSON],
  ['', NOT_JSON],
  [null, /^The record has no value$/],
  [` ${SECRET}`, NOT_JSON],
  [`["${SECRET}"]`, NOT_OBJECT],
  ['7', NOT_OBJECT],
  [`"${SECRET}"`, NOT_OBJECT],
  ['null', NOT_OBJECT],
  ['{}', LACKS_BOTH],
  [record(1).slice(0, -1), NOT_JSON],
  [`${record(1)}${record(2)}`, NOT_JSON],
  [`\u{feff}\u{feff}${record(1)}`, NOT_JSON], // a second byte order mark
  [Buffer.from(record(1), 'utf16le'), NOT_JSON],
  [bytes(metadata(`{"${SECRET}":"~"}`), '~', 0x00), NOT_JSON],
  [bytes(metadata(`{"${SECRET}":"~"}`), '~', 0xc3), NOT_UTF8], // a truncated sequence
  [Buffer.from(metadata(`{"${SECRET}":"é"}`)).subarray(0, -4), NOT_UTF8],
  ...OF_OTHER_TYPES,
  [withField('user_id', '9223372036854775808'), BAD_USER],
  [withField('user_id', '-9223372036854775809'), BAD_USER],
  [withField('user_id', '1.5'), BAD_USER],
  [withField('user_id', '1e19'), BAD_USER],
  [withField('user_id', '01'), NOT_JSON],
  [withField('event_id', `"${idOf(1)}0"`), BAD_ID],
  [withField('event_id', `"${idOf(1).replaceAll('-', '')}"`), BAD_ID],
  [time('0000-01-01T00:00:00Z'), BAD_TIME],
  [time('10000-01-01T00:00:00Z'), BAD_TIME],
  [time('2026-01-01T00:00:61Z'), BAD_TIME],
  [time('2026-01-01T24:00:00Z'), BAD_TIME],
  [time('2026-02-29T00:00:00Z'), BAD_TIME],
  [time('9999-12-31T23:59:59-00:01'), BAD_TIME],
  [time('infinity'), BAD_TIME],
  [withField('received_at', '"2026-13-01T00:00:00Z"'), BAD_RECEIVED],
  [record(1).replace('{', '{"user_id":1,'), /^user_id appears more than once$/],
  [record(1).replace('{', '{"m\\u0065tadata":{},'), /^metadata appears more than once$/],
  [metadata(`{"${SECRET}":"\\u0000"}`), NO_JSONB],
  [metadata(`{"${SECRET}\\u0000":1}`), NO_JSONB],
  [metadata(`{"${SECRET}":"\\ud800"}`), NO_JSONB],
  [metadata(`{"${SECRET}":"\\udc00\\ud800"}`), NO_JSONB],
  [metadata(`{"${SECRET}":1e131072}`), NO_JSONB],
  [metadata(`{"${SECRET}":1e-16384}`), NO_JSONB],
  [metadata(`{"${SECRET}":1e999999999999}`), NO_JSONB],
  [metadata(nested(10_000)), NO_JSONB],
  [metadata(`{"a":${'['.repeat(100_000)}`), NOT_JSON],
]

test('I6: each of 71 kinds of bad records becomes a dead letter with its reason; all records between them are stored', async () => {
  assert.equal(POISON.length, 71)
  await send(...POISON.flatMap(([value], index) => [{ value }, { value: record(1_000 + index) }]))
  await isStored(1_000 + POISON.length - 1)
  const { total_dead, state } = await caughtUp(sink)
  assert.equal(state, 'running')
  assert.equal(total_dead, POISON.length)
  assert.equal(await pipeline.countEvents(), POISON.length)
  const dead = await deadLetters(0)
  for (const [index, [value, message]] of POISON.entries()) {
    const letter = dead[index]
    assert.deepEqual(letter?.value, value === null ? null : Buffer.from(value))
    assert.equal(letter?.offset, String(2 * index))
    assert.match(letter?.message ?? '', message, `${index}: ${String(value).slice(0, 200)}`)
    assert.equal(letter?.reason, 'undecodable')
  }
})

test('I6: headers of any number, size, name and kind, keys and timestamps do not stop the sink', async () => {
  const next = await nextOffset()
  const many = Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`h${index}`, SECRET]))
  const headers: IHeaders[] = [
    many,
    { repeated: Array.from({ length: 10_000 }, () => SECRET) },
    { huge: Buffer.alloc(2 * MIB, 'x') },
    { ['__proto__']: SECRET, constructor: SECRET, 'a\0b': 'c', '': 'no name' },
    { nul: '\0', bytes: Buffer.from([0xff]) },
  ]
  const bare = { event_id: undefined, received_at: undefined }
  const nanoseconds = `${BigInt(Date.now()) * 1_000_000n}`
  await send(
    ...headers.flatMap((each, index) => [
      { value: record(2_000 + index), headers: each },
      { value: SECRET, headers: each },
    ]),
    { key: Buffer.alloc(MIB, 'k'), value: null },
    { value: record(2_010, bare), timestamp: nanoseconds },
    { value: record(2_011, bare), timestamp: '-1' },
    { value: record(2_012), timestamp: nanoseconds },
  )
  await isStored(2_012)
  const dead = await deadLetters(next)
  assert.deepEqual(
    dead.map(({ message }) => message.replace(/ at byte.*/, '')),
    [
      ...headers.map(() => 'The value is not JSON'),
      'The record has no value',
      "the record's own timestamp is out of range",
    ],
  )
  assert.equal(Object.keys(dead[0]?.headers ?? {}).length, 10_000)
  assert.deepEqual(dead[1]?.headers, { repeated: SECRET })
  assert.deepEqual(dead[2]?.headers, { huge: 'x'.repeat(2 * MIB) })
  const oddNames = { '': 'no name', 'a\\0b': 'c', ['__proto__']: SECRET, constructor: SECRET } // as jsonb sorts
  assert.equal(JSON.stringify(dead[3]?.headers), JSON.stringify(oddNames))
  assert.deepEqual(dead[4]?.headers, { nul: { base64: 'AA==' }, bytes: { base64: '/w==' } })
  const [epoch] = await pipeline.query("SELECT received_at = 'epoch' AS ok FROM events WHERE user_id = 2011")
  assert.deepEqual(epoch, { ok: true })
  assert.equal((await pipeline.query('SELECT 1 FROM events WHERE user_id >= 2000')).length, 7)
})

test('I7: of a record of 50 MiB only the digest is stored, in bounded memory, and the sink continues', async (t) => {
  const next = await nextOffset()
  const beforeMiB = rssMiB(sink.pid ?? 0)
  const value = Buffer.alloc(50 * MIB, 'x')
  value.write(`{"${SECRET}":"`)
  await send({ value: record(3_000) })
  await send({ value })
  await send({ value: record(3_001) })
  let peakMiB = 0
  await until(
    'the record after it is stored',
    async () => {
      peakMiB = Math.max(peakMiB, rssMiB(sink.pid ?? 0))
      return (await pipeline.query('SELECT 1 FROM events WHERE user_id = 3001')).length === 1
    },
    60_000,
  )
  t.diagnostic(`RSS of the sink ${beforeMiB.toFixed(0)} MiB before, ${peakMiB.toFixed(0)} MiB at most`)
  const [letter] = await deadLetters(next)
  assert.equal(letter?.value, null)
  assert.equal(letter?.value_bytes, String(value.length))
  assert.deepEqual(letter?.value_sha256, createHash('sha256').update(value).digest())
  assert.ok(peakMiB < 400, `${peakMiB} MiB`)
})

test('no content of records is logged, and the process was never restarted', async () => {
  const log = readFileSync(pipeline.path('sink-worker-0.log'), 'utf8')
  assert.match(log, /records went to dead_letters/)
  assert.ok(!log.includes(SECRET))
  assert.equal(log.match(/sink started/g)?.length, 1)
  const afterJoin = log.slice(log.indexOf('partitions assigned'))
  assert.doesNotMatch(afterJoin, /the Kafka consumer failed/)
})

interface Letter {
  offset: string
  value: Buffer | null
  value_bytes: string
  value_sha256: Buffer | null
  headers: Record<string, unknown>
  reason: string
  message: string
}

async function nextOffset(): Promise<number> {
  const [row] = await pipeline.query<{ next: number }>('SELECT next_offset::int AS next FROM sink_offsets')
  return row?.next ?? 0
}

async function deadLetters(from: number): Promise<Letter[]> {
  return await pipeline.query<Letter & Record<string, unknown>>(
    'SELECT * FROM dead_letters WHERE "offset" >= $1 ORDER BY "offset"',
    [from],
  )
}

async function send(...messages: Message[]): Promise<void> {
  await withProducer(pipeline.backend.kafka.bootstrapServers, async (produce) => {
    await produce(messages.map((message) => ({ ...message, partition: 0 })))
  })
}

async function isStored(n: number): Promise<void> {
  const find = async () => await pipeline.query('SELECT 1 FROM events WHERE event_id = $1', [idOf(n)])
  await until(`event ${n} is stored`, async () => (await find()).length === 1)
}
