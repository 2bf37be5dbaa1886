import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { load } from '../../tools/load/load.ts'
import { StackUnderTest } from '../support/compose.ts'
import { scale } from '../support/scale.ts'
import { until } from '../support/until.ts'

/* compose.cluster.yml: three brokers, one of which may fail. */

let under: StackUnderTest

before(async () => {
  under = await StackUnderTest.up({ files: ['docker-compose.yml', 'compose.cluster.yml'] })
})
after(async () => {
  await under?.close()
})

test('one of three brokers killed under load: nothing is lost, nothing is stored twice', async (t) => {
  const { rate, connections, seconds } = scale
  const describe = '/opt/kafka/bin/kafka-topics.sh --bootstrap-server kafka:9092 --describe --topic events'
  const topic = await under.stack.compose('exec', '--no-TTY', 'kafka', ...describe.split(' '))
  assert.match(topic, /ReplicationFactor: 3\s+Configs: min\.insync\.replicas=2/)

  const ackedFile = under.path('acked.tsv')
  const running = load({
    url: under.stack.apiUrl,
    rate,
    connections,
    seconds: seconds * 3,
    ackedFile,
    retry: true,
  })
  await until('the sink stores', async () => (await under.storedBySinks()) > rate, 60_000)
  await under.stack.kill('kafka-2')
  const stored = await until('the sink answers', async () => (await under.storedBySinks()) || undefined)
  await until('the sink stores again', async () => (await under.storedBySinks()) > stored + 3 * rate, 60_000)
  await under.stack.start('kafka-2')
  const result = await running
  t.diagnostic(`p99 ${result.p99_ms.toFixed(0)} ms, longest ${result.max_ms.toFixed(0)} ms`)
  t.diagnostic(`sent again: ${JSON.stringify(result.retries)}`)
  assert.deepEqual(result.errors, {})
  assert.equal(result.acked, result.sent)
  const verdict = await under.verdict(ackedFile)
  assert.equal(verdict.ok, true, JSON.stringify(verdict))
  assert.equal(verdict.acked_stored, result.acked)
})
