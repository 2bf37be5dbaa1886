import assert from 'node:assert/strict'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { after, before, test } from 'node:test'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { ProduceSockets } from '../../../../kafka/producer/produce-socket.ts'
import { encodeRecordBatch } from '../../../../kafka/producer/record-batch.ts'
import type { Records } from '../../../../event/record/records.ts'
import { recordsOf } from '../../../support/records-of.ts'

const require = createRequire(import.meta.url)
const TIMED = { from: 17, to: 43 }
const PARTITION = 3

const server = createServer()
before(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
})
const opened: Socket[] = []
after(() => {
  for (const socket of opened) socket.destroy()
  server.close()
})

/** A connection as used by kafkajs, and the bytes received at its other end until it is closed. */
async function connection(sockets: ProduceSockets): Promise<{ socket: Socket; received: Promise<Buffer> }> {
  const accepted = once(server, 'connection') as Promise<[Socket]>
  const { port } = server.address() as AddressInfo
  const socket = sockets.socketFactory({ host: '127.0.0.1', port, ssl: false as never, onConnect: () => {} })
  const [peer] = await accepted
  opened.push(socket, peer)
  const received = peer.toArray().then((chunks) => Buffer.concat(chunks as Buffer[]))
  return { socket, received }
}

/** A produce request as encoded by kafkajs. */
async function requestOf(
  version: number,
  clientId: string | null,
  messages: readonly object[],
): Promise<Buffer> {
  const produce = require(`kafkajs/src/protocol/requests/produce/v${version}/request`)
  const encode = require('kafkajs/src/protocol/request')
  const topicData = [{ topic: 'events', partitions: [{ partition: PARTITION, messages }] }]
  const request = produce({ acks: -1, timeout: 5_000, topicData })
  return (await encode({ correlationId: 9, clientId, request })).buffer
}

/** The expected bytes: the request of kafkajs up to the record set, with the lengths for the batch. */
function expectedOf(request: Buffer, requests: readonly Records[]): Buffer {
  const batch = encodeRecordBatch(requests, 0)
  const placeholderBatchBytes = encodeRecordBatch([recordsOf(Buffer.alloc(16))], 0).length
  const head = Buffer.from(request.subarray(0, request.length - placeholderBatchBytes))
  head.writeInt32BE(batch.length, head.length - 4)
  head.writeInt32BE(head.length + batch.length - 4, 0)
  return Buffer.concat([head, batch])
}

/** The request without checksum and timestamps of the batch. */
function timeless(request: Buffer, batchBytes: number): Buffer {
  const at = request.length - batchBytes
  return Buffer.concat([request.subarray(0, at + TIMED.from), request.subarray(at + TIMED.to)])
}

for (const version of [3, 4, 5, 6, 7]) {
  test(`the placeholder in a kafkajs request of version ${version} is replaced with its batch`, async () => {
    const sockets = new ProduceSockets()
    const requests = [
      recordsOf(Buffer.from('{"a":1}'), Buffer.alloc(1_000, 'b')),
      recordsOf(Buffer.from('c')),
    ]
    const { messages, mayBeWritten } = sockets.prepareSend(PARTITION, requests)
    const { socket, received } = await connection(sockets)
    const request = await requestOf(version, version === 3 ? null : 'firehose', messages)
    const expected = expectedOf(request, requests)
    assert.equal(mayBeWritten(), false)
    socket.write(request)
    assert.equal(mayBeWritten(), true)
    socket.end()
    const batchBytes = encodeRecordBatch(requests, 0).length
    assert.deepEqual(timeless(await received, batchBytes), timeless(expected, batchBytes))
  })
}

test('a placeholder whose send has ended is never sent: the connection is closed instead', async () => {
  const sockets = new ProduceSockets()
  const { messages, mayBeWritten, end } = sockets.prepareSend(PARTITION, [recordsOf(Buffer.from('{}'))])
  end()
  await refuses(sockets, await requestOf(7, 'firehose', messages), /unknown or expired placeholder/)
  assert.equal(mayBeWritten(), false)
})

test('an unexpected produce request is never sent: two records, or an unknown placeholder', async () => {
  const sockets = new ProduceSockets()
  const { messages } = sockets.prepareSend(PARTITION, [recordsOf(Buffer.from('{}'))])
  await refuses(sockets, await requestOf(7, 'firehose', [...messages, ...messages]), /unexpected form/)
  await refuses(
    sockets,
    await requestOf(7, 'firehose', [{ value: Buffer.alloc(16) }]),
    /unknown or expired placeholder/,
  )
  await refuses(
    sockets,
    await requestOf(7, 'firehose', [{ value: null }]),
    /expired placeholder|unexpected form/,
  )
  const newer = await requestOf(7, 'firehose', messages)
  newer.writeInt16BE(9, 6)
  await refuses(sockets, newer, /version 9/)
})

async function refuses(sockets: ProduceSockets, request: Buffer, reason: RegExp): Promise<void> {
  const { socket, received } = await connection(sockets)
  const failed = once(socket, 'error')
  assert.equal(socket.write(request), false)
  const [error] = (await failed) as [Error & { code?: string }]
  assert.match(error.message, reason)
  assert.equal(error.code, 'PRODUCE_REQUEST')
  assert.equal((await received).length, 0)
}

test('other requests are sent unchanged', async () => {
  const { socket, received } = await connection(new ProduceSockets())
  const metadata = Buffer.from('0000000b000300060000000100016100', 'hex')
  socket.write(metadata)
  socket.write(Buffer.from('shrt'))
  socket.end()
  assert.deepEqual(await received, Buffer.concat([metadata, Buffer.from('shrt')]))
})

/** Self-signed for localhost and 127.0.0.1; used only for tests. */
const pem = (name: string): string =>
  readFileSync(new URL(`../../../support/tls/${name}.pem`, import.meta.url), 'utf8')

for (const [host, servername] of [
  ['localhost', 'localhost'],
  ['127.0.0.1', false],
] as const) {
  test(`TLS to ${host}: the certificate is checked, and placeholders are replaced`, async () => {
    const tlsServer = createTlsServer({ key: pem('key'), cert: pem('certificate') })
    tlsServer.listen(0, host)
    await once(tlsServer, 'listening')
    const { port } = tlsServer.address() as AddressInfo
    const accepted = once(tlsServer, 'secureConnection') as Promise<[TLSSocket]>
    const sockets = new ProduceSockets()
    const ssl = { ca: [pem('certificate')] }
    try {
      const connected = Promise.withResolvers<void>()
      const socket = sockets.socketFactory({ host, port, ssl, onConnect: () => connected.resolve() })
      const [peer] = await accepted
      await connected.promise
      assert.equal(peer.servername, servername)
      const requests = [recordsOf(Buffer.alloc(100_000, 'x'))]
      const { messages } = sockets.prepareSend(PARTITION, requests)
      const request = await requestOf(7, 'firehose', messages)
      const expected = expectedOf(request, requests)
      socket.write(request)
      socket.end()
      const received = Buffer.concat((await peer.toArray()) as Buffer[])
      const batchBytes = encodeRecordBatch(requests, 0).length
      assert.deepEqual(timeless(received, batchBytes), timeless(expected, batchBytes))

      const unknown = sockets.socketFactory({ host, port, ssl: {}, onConnect: () => {} })
      const [error] = (await once(unknown, 'error')) as [Error & { code?: string }]
      assert.equal(error.code, 'DEPTH_ZERO_SELF_SIGNED_CERT')
    } finally {
      tlsServer.close()
    }
  })
}
