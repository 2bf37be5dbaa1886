import assert from 'node:assert/strict'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { LoadThread, type LoadTick } from '../../../../tools/load/load-thread.ts'

test('a load in a thread posts ticks, and together they have every event and latency', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'firehose-load-thread-'))
  const server = createServer((request, response) => {
    request.setEncoding('utf8').on('data', (body: string) => response.writeHead(202).end(body))
  }).listen(0, '127.0.0.1')
  t.after(() => {
    server.closeAllConnections()
    server.close()
    rmSync(dir, { recursive: true })
  })
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const ackedFile = join(dir, 'acked.tsv')
  const ticks: LoadTick[] = []
  const first = Promise.withResolvers<void>()

  const load = new LoadThread({ url, rate: 200, connections: 2, seconds: 600, ackedFile }, (tick) => {
    ticks.push(tick)
    first.resolve()
  })
  await first.promise
  load.stop()
  const result = await load.result

  assert.ok(result.acked > 100 && result.acked === result.sent)
  const { sent, acked, failed } = ticks.at(-1) ?? {}
  assert.deepEqual([sent, acked, failed], [result.sent, result.sent, 0])
  assert.equal(ticks.flatMap(({ latenciesMs }) => latenciesMs).length, result.acked)
  assert.equal(readFileSync(ackedFile, 'utf8').split('\n').length - 1, result.acked)
})

test('a load that cannot start is rejected', async () => {
  const load = new LoadThread({ url: 'http://127.0.0.1:1', rate: 1, connections: 1, seconds: 1 }, () => {})
  await assert.rejects(load.result, /Nothing listens/)
})

test('a load that is killed is rejected', async () => {
  const load = new LoadThread({ url: 'http://127.0.0.1:1', rate: 1, connections: 1, seconds: 1 }, () => {})
  await load.kill()
  await assert.rejects(load.result)
})
