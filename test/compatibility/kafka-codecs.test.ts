import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, test, type TestContext } from 'node:test'
import { RecordReader } from '../../kafka/record-reader.ts'
import { TopicTail } from '../../kafka/topic-tail.ts'
import { createLogger } from '../../platform/log.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { javaProgram, type Program, pythonProgram } from '../support/other-clients.ts'
import { record } from '../support/records.ts'
import { storedRows } from '../support/sink-health.ts'
import { configureTopic, createTopic } from '../support/topic.ts'
import { until } from '../support/until.ts'

/*
 * Records in each of Kafka's codecs, as real clients compress them, and as the broker does that recompresses what our API
 * sent. Everything that reads the topic must read them.
 */

const CODECS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
/** More than 64 KiB, the size of a block of LZ4 and of Snappy as the Java client frames it. */
const RECORDS = 1_000

const pipeline = await Pipeline.start()
const { bootstrapServers } = pipeline.backend.kafka
await createTopic(bootstrapServers, 1)
await pipeline.startSink()
const api = await pipeline.startApi()
/** The records by offset; the API adds received_at to what it is sent. */
const sent: string[] = []
/** Bytes of Kafka's log that earlier tests have checked. */
let checkedBytes = 0

after(async () => {
  await pipeline.close()
})

test('what the C client compresses is read, in each codec', async (t) => {
  await sendInEachCodec(t, await pythonProgram('produce.py', 'confluent-kafka==2.16.1'))
})

test('what the Java client compresses is read, in each codec', async (t) => {
  await sendInEachCodec(t, await javaProgram('Produce.java'))
})

async function sendInEachCodec(t: TestContext, program: Program): Promise<void> {
  if ('missing' in program) {
    t.skip(program.missing)
    return
  }
  const lines = nextRecords(CODECS.length * RECORDS)
  await program.run([bootstrapServers, 'events', ...CODECS], `${lines.join('\n')}\n`)
  sent.push(...lines)
  await readByAll()
  assertCodecs(t)
}

test('I2: what the API sent is read, whatever codec the topic recompresses it with', async (t) => {
  for (const codec of CODECS) {
    await configureTopic(bootstrapServers, 'compression.type', codec === 'none' ? 'uncompressed' : codec)
    const lines = nextRecords()
    const body = JSON.stringify(lines.map((line) => ({ ...JSON.parse(line), received_at: undefined })))
    const headers = { 'content-type': 'application/json' }
    const answer = await fetch(`${api.url}/events`, { method: 'POST', headers, body })
    assert.equal(answer.status, 202, await answer.text())
    sent.push(...lines)
  }
  await readByAll()
  assertCodecs(t)
})

function nextRecords(length = RECORDS): string[] {
  return Array.from({ length }, (_, n) =>
    record(sent.length + n, { metadata: { page: `/p/${n}`, text: `${(n * 7919) % 1013}`.repeat(40) } }),
  )
}

/** The sink, verify, tail, and the reader of single records, which `dlq replay` and `where` use. */
async function readByAll(): Promise<void> {
  await storedRows(pipeline, sent.length)
  assert.equal((await pipeline.verify()).ok, true)

  const connection = { brokers: [bootstrapServers], ssl: false, sasl: undefined }
  const logger = createLogger('test', 'silent')
  const tail = new TopicTail(connection, 'events', new Map([[0, 0n]]), 'test-tail', logger)
  await tail.connect()
  const tailed: string[] = []
  await until('all records are tailed', async () => {
    const { records, failures } = await tail.read()
    assert.deepEqual(failures, [])
    tailed.push(...records.map(({ value }) => idIn(String(value))))
    return tailed.length >= sent.length
  })
  await tail.close()
  assert.deepEqual(tailed, sent.map(idIn))

  const reader = new RecordReader(connection, 'events', 'test-reader', logger)
  for (let n = RECORDS / 2; n < sent.length; n += RECORDS) {
    const found = await reader.read(new Map([[0, BigInt(n)]]))
    assert.equal(idIn(String(found.get(0)?.value)), idIn(sent[n] ?? ''))
  }
  await reader.close()
}

function idIn(value: string): string {
  return (JSON.parse(value) as { event_id: string }).event_id
}

/** Kafka's log has batches in each codec. */
function assertCodecs(t: TestContext): void {
  const { dir } = pipeline.backend
  if (dir === undefined) {
    t.diagnostic("Kafka's log is not on this machine: which codecs its batches have was not checked")
    return
  }
  const log = readFileSync(join(dir, 'kafka', 'data', 'events-0', '00000000000000000000.log'))
  const found = new Set<string | undefined>()
  const lastBatches = log.subarray(checkedBytes)
  for (let at = 0; at < lastBatches.length; at += 12 + lastBatches.readInt32BE(at + 8))
    found.add(CODECS[lastBatches.readInt16BE(at + 21) & 7])
  checkedBytes = log.length
  assert.deepEqual(found, new Set(CODECS))
}
