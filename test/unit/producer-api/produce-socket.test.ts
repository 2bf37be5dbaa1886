import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { after, before, test } from 'node:test'
import { ProduceSockets } from '../../../producer-api/produce-socket.ts'
import { encodeRecordBatch } from '../../../producer-api/record-batch.ts'
import { recordsOf } from '../../support/records-of.ts'

const server = createServer()
before(async () => {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
})
after(() => server.close())

/** A connection of kafkajs' kind, and what comes out at its other end until it is closed. */
async function connection(sockets: ProduceSockets): Promise<{ socket: Socket; received: Promise<Buffer> }> {
  const accepted = once(server, 'connection') as Promise<[Socket]>
  const { port } = server.address() as AddressInfo
  const socket = sockets.socketFactory({ host: '127.0.0.1', port, ssl: false as never, onConnect: () => {} })
  const [peer] = await accepted
  const received = peer.toArray().then((chunks) => Buffer.concat(chunks as Buffer[]))
  return { socket, received }
}

/** A produce request, version 7, of topic `t`, partition 3, with this record set. */
function produceRequest(recordSet: Buffer): Buffer {
  const head = Buffer.from(
    '0000000700000009000161ffffffff0000138800000001000174000000010000000300000000',
    'hex',
  )
  head.writeInt32BE(recordSet.length, head.length - 4)
  const length = Buffer.alloc(4)
  length.writeInt32BE(head.length + recordSet.length)
  return Buffer.concat([length, head, recordSet])
}

test('a slip is exchanged for the batch, all lengths follow, and it counts as written', async () => {
  const sockets = new ProduceSockets()
  const requests = [recordsOf(Buffer.from('{"a":1}'), Buffer.alloc(1_000, 'b')), recordsOf(Buffer.from('c'))]
  const { messages, isWritten } = sockets.handOver(3, requests)
  const { socket, received } = await connection(sockets)
  assert.equal(isWritten(), false)
  socket.write(produceRequest(encodeRecordBatch([recordsOf(messages[0]!.value as Buffer)], 0)))
  assert.equal(isWritten(), true)
  socket.end()
  const sent = await received
  const expected = produceRequest(encodeRecordBatch(requests, 0))
  /** Without checksum and times. */
  const timeless = (request: Buffer): Buffer => {
    const at = expected.length - encodeRecordBatch(requests, 0).length
    return Buffer.concat([
      request.subarray(0, at + 17),
      request.subarray(at + 21, at + 27),
      request.subarray(at + 43),
    ])
  }
  assert.deepEqual(timeless(sent), timeless(expected))
})

test('a slip whose send has ended never goes out: the connection ends instead', async () => {
  const sockets = new ProduceSockets()
  const { messages, isWritten, end } = sockets.handOver(3, [recordsOf(Buffer.from('{}'))])
  const { socket, received } = await connection(sockets)
  const failed = once(socket, 'error')
  end()
  socket.write(produceRequest(encodeRecordBatch([recordsOf(messages[0]!.value as Buffer)], 0)))
  const [error] = (await failed) as [Error]
  assert.match(error.message, /without a batch of ours/)
  assert.equal(isWritten(), false)
  assert.equal((await received).length, 0)
})

test('what is no produce request passes as it is', async () => {
  const { socket, received } = await connection(new ProduceSockets())
  const metadata = Buffer.from('0000000b000300060000000100016100', 'hex')
  socket.end(metadata)
  assert.deepEqual(await received, metadata)
})
