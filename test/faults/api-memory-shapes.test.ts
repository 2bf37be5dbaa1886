import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { after, before, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import type { NodeService } from '../../embedded/node-service.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { hammer, httpRequest, sent } from '../support/clients.ts'
import { rssMiB, watchRss } from '../support/processes.ts'
import { until } from '../support/until.ts'

/* I7: the API's memory depends on the bytes that clients send, not on how they are split; other clients are served. */

const MIB = 1024 * 1024
const BUFFER_MIB = 32
/** Memory of the idle connections of the clients, as documented for MAX_CONNECTIONS in the README. */
const connectionsMiB = (count: number): number => (count * 12) / 1024
/**
 * The buffer, the same amount for requests being read, and garbage not yet collected or pages not yet returned:
 * V8 collects external memory only after about 64 MiB.
 */
const BOUND_MIB = 2 * BUFFER_MIB + 80

const EVENT = '{"user_id":1,"timestamp":"2026-01-02T03:04:05Z","metadata":{}}'
const good = httpRequest('/event', EVENT)
let pipeline: Pipeline

before(async () => {
  pipeline = await Pipeline.start()
})
after(async () => {
  await pipeline?.close()
})

/** An HTTP body with chunks of one byte. */
function tinyChunks(body: Buffer): Buffer {
  const chunks = Buffer.alloc(body.length * 6, '1\r\n \r\n')
  for (const [n, byte] of body.entries()) chunks[6 * n + 3] = byte
  return chunks
}

const head = (path: string, ...headers: string[]): string =>
  ['POST', ' ', path, ' HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n', ...headers, '\r\n'].join(
    '',
  )
const chunked = (path: string, ...more: string[]): string =>
  head(path, 'Transfer-Encoding: chunked\r\n', ...more)
const spaces = (length: number): Buffer => Buffer.alloc(length, ' ')

/** Writes, and waits until the data is passed to the kernel or the connection is closed. */
async function push(socket: Socket, data: string | Buffer): Promise<void> {
  if (socket.writable && !socket.write(data)) {
    await Promise.race([once(socket, 'drain'), once(socket, 'close')]).catch(() => {})
  }
}

/** Each client sends its parts in sequence; all stay connected. */
async function clients(url: string, count: number, ...parts: (string | Buffer)[]): Promise<Socket[]> {
  const client = async (): Promise<Socket> => {
    const { socket } = await sent(url, '')
    for (const part of parts) await push(socket, part)
    return socket
  }
  return await Promise.all(Array.from({ length: count }, client))
}

interface Attack {
  name: string
  connections: number
  /** Run while Kafka is frozen, so that requests wait. */
  isKafkaFrozen?: boolean
  run: (url: string) => Promise<Socket[]>
}

const attacks: Attack[] = [
  {
    name: 'a million chunks of one byte each, POST /events',
    connections: 4,
    run: async (url) => await clients(url, 4, chunked('/events'), tinyChunks(spaces(1_000_000))),
  },
  {
    name: 'chunks of one byte, POST /event, never ended',
    connections: 100,
    run: async (url) => await clients(url, 100, chunked('/event'), tinyChunks(spaces(60_000))),
  },
  {
    name: 'gzip in chunks of one byte',
    connections: 4,
    run: async (url) => {
      const zipped = gzipSync(randomBytes(900_000))
      return await clients(url, 4, chunked('/events', 'Content-Encoding: gzip\r\n'), tinyChunks(zipped))
    },
  },
  {
    name: 'gzip of 47,000 members',
    connections: 16,
    run: async (url) => {
      const member = gzipSync(' ')
      const zipped = Buffer.concat(Array(Math.floor(1_000_000 / member.length)).fill(member))
      const headers = [`Content-Encoding: gzip\r\n`, `Content-Length: ${zipped.length}\r\n`]
      return await clients(url, 16, head('/events', ...headers), zipped)
    },
  },
  {
    name: 'TCP segments of one byte',
    connections: 8,
    run: async (url) => {
      const sockets = await clients(url, 8, head('/events', 'Content-Length: 1000000\r\n'))
      const segments = async (socket: Socket): Promise<void> => {
        socket.setNoDelay(true)
        for (let n = 0; n < 60_000; n++) {
          socket.write(' ')
          if (n % 4 === 0) await new Promise((resolve) => setImmediate(resolve))
        }
      }
      await Promise.all(sockets.map(segments))
      return sockets
    },
  },
  ...[900, 95].map((count) => ({
    name: `${count} headers each, of requests that wait for Kafka`,
    connections: 1_900,
    isKafkaFrozen: true,
    run: async (url: string) => {
      const headers = Array.from({ length: count }, (_, n) => `${n.toString(36).padStart(3, 'q')}:z\r\n`)
      return await clients(
        url,
        1_900,
        head('/event', `Content-Length: ${EVENT.length}\r\n`, ...headers),
        EVENT,
      )
    },
  })),
  {
    name: 'chunks of one byte, in requests that wait for 100 others',
    connections: 150,
    isKafkaFrozen: true,
    run: async (url) => {
      const sockets = await clients(url, 150, good.repeat(100))
      for (const socket of sockets)
        await push(socket, chunked('/event') + tinyChunks(spaces(8_000)).toString())
      return sockets
    },
  },
  {
    name: '90 pipelined requests for metrics, to a client that does not read',
    connections: 100,
    run: async (url) => {
      const sockets = await clients(url, 100)
      for (const socket of sockets) socket.pause()
      const request = 'GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n'.repeat(90)
      for (let round = 0; round < 6; round++)
        await Promise.all(sockets.map((socket) => push(socket, request)))
      return sockets
    },
  },
]

for (const { name, connections, isKafkaFrozen = false, run } of attacks) {
  test(`I7: ${name}: memory stays within the budget, and other clients get responses`, async (t) => {
    const api = await pipeline.startApi({ BUFFER_MAX_BYTES: String(BUFFER_MIB * MIB), LOG_LEVEL: 'warn' })
    await hammer(api.url, 20, [good], (asked) => asked < 1_000) // warm up
    const restMiB = rssMiB(api.pid ?? 0)
    const watch = watchRss(api.pid ?? 0)
    const others = { isOn: true }
    if (isKafkaFrozen) await pipeline.backend.kafka.freeze()
    const answers = hammer(api.url, 2, [good], () => others.isOn)
    let sockets: Socket[]
    try {
      sockets = await run(api.url)
      await digested(api)
    } finally {
      if (isKafkaFrozen) await pipeline.backend.kafka.thaw()
      others.isOn = false
    }
    const counts = await answers
    const peakMiB = watch.stop()
    for (const socket of sockets) socket.destroy()
    t.diagnostic(`RSS ${restMiB.toFixed(0)} to ${peakMiB.toFixed(0)} MiB; others: ${JSON.stringify(counts)}`)
    assert.ok(peakMiB < restMiB + BOUND_MIB + connectionsMiB(connections), `${peakMiB} MiB`)
    const unexpected = Object.keys(counts).filter((key) => key !== '202' && key !== '503')
    assert.deepEqual(unexpected, [])
    assert.ok((counts['202'] ?? 0) >= 1, 'no other client was served')
    await until('an empty buffer after the attack', async () => (await api.health())?.queue_bytes === 0)
    assert.equal(await good202(api.url), true)
    await api.stop(20_000)
  })
}

/** Waits until the API has read everything: it responds quickly many times in a row. */
async function digested(api: NodeService): Promise<void> {
  let soon = 0
  await until('an API that answers soon', async () => {
    const start = performance.now()
    const health = await api.health()
    soon = health !== undefined && performance.now() - start < 150 ? soon + 1 : 0
    return soon >= 10
  })
}

async function good202(url: string): Promise<boolean> {
  const headers = { 'Content-Type': 'application/json' }
  return (await fetch(`${url}/event`, { method: 'POST', headers, body: EVENT })).status === 202
}
