import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { after, before, test } from 'node:test'
import { HttpTap } from '../../../../tools/drill/http-tap.ts'
import { TcpProxy } from '../../../../tools/drill/tcp-proxy.ts'
import { until } from '../../../support/until.ts'

/** Echoes each chunk. */
let server: Server
let proxy: TcpProxy

before(async () => {
  server = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (chunk) => socket.write(chunk))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  proxy = await TcpProxy.start({ host: '127.0.0.1', port: (server.address() as AddressInfo).port }, () => {
    return new HttpTap()
  })
})
after(async () => {
  await proxy.close()
  server.close()
})

class Client {
  readonly socket: Socket
  received = ''
  closed = false

  constructor() {
    this.socket = connect(proxy.port, '127.0.0.1')
    this.socket.on('data', (chunk) => (this.received += chunk.toString()))
    this.socket.on('error', () => {})
    this.socket.on('close', () => (this.closed = true))
  }

  async ask(text: string): Promise<void> {
    const expected = this.received + text
    this.socket.write(text)
    await until(`the echo of ${text}`, () => this.received === expected)
  }
}

test('held data arrive in order after release; after a cut they never arrive', async () => {
  const client = new Client()
  await client.ask('one ')
  const [link] = proxy.links()
  assert.ok(link)
  link.hold()
  client.socket.write('two ')
  await until('it stands', () => link.heldMessages > 0)
  assert.equal(client.received, 'one ')
  link.release()
  await until('it arrives', () => client.received === 'one two ')

  link.hold()
  client.socket.write('three')
  link.cut()
  await until('both sides are closed', () => client.closed && proxy.links().length === 0)
  assert.equal(client.received, 'one two ')
})

test('a delay applies to each chunk and keeps their order, even after it ends', async () => {
  const client = new Client()
  await client.ask('a')
  const [link] = proxy.links()
  assert.ok(link)
  link.delayMs = 60
  const startMs = performance.now()
  client.socket.write('b')
  await until('it is on its way', () => link.delayedChunks > 0)
  link.delayMs = 0
  client.socket.write('c')
  await until('both arrive', () => client.received === 'abc')
  assert.ok(performance.now() - startMs >= 55)
  client.socket.destroy()
  await until('closed', () => proxy.links().length === 0)
})

test('a trap holds only the response it was set for; afterwards the link continues', async () => {
  const client = new Client()
  const springing = proxy.holdAt('before_http_answer', AbortSignal.timeout(10_000))
  await client.ask('HTTP/1.1 503 ')
  client.socket.write('HTTP/1.1 202 ')
  const link = await springing
  await until('the answer stands', () => link.heldMessages > 0)
  assert.equal(client.received, 'HTTP/1.1 503 ')
  link.release()
  await until('it arrives', () => client.received.endsWith('202 '))
  await client.ask('HTTP/1.1 202 ') // a trap is triggered only once
  client.socket.destroy()
})

test('a trap that is not triggered in time is removed', async () => {
  const abort = new AbortController()
  const waiting = proxy.holdAt('before_http_answer', abort.signal)
  await assert.rejects(proxy.holdAt('before_http_answer', abort.signal), /a trap .* is already set/)
  abort.abort(new Error('enough'))
  await assert.rejects(waiting, /enough/)
  const client = new Client()
  await client.ask('HTTP/1.1 202 ')
  client.socket.destroy()
})
