import { connect } from 'node:net'

const metadataKey = 3
const metadataVersion = 1

/**
 * Whether a broker is ready to create topics and accept records: its metadata lists a broker and a controller.
 * Written against the wire protocol: the describeCluster() of kafkajs asks for all topics, and throws as long as any
 * partition of any topic has no leader.
 *
 * @returns false on any error, and after `limitMs`
 */
export function kafkaAnswers(port: number, limitMs = 1_000): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    let received = Buffer.alloc(0)
    const end = (answer: boolean) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(answer)
    }
    const timer = setTimeout(() => end(false), limitMs)
    socket.once('error', () => end(false))
    socket.once('close', () => end(false))
    socket.once('connect', () => socket.write(request()))
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk])
      if (received.length >= 4 && received.length >= 4 + received.readInt32BE(0)) end(isReady(received))
    })
  })
}

function request(): Buffer {
  const clientId = 'firehose-launcher'
  const body = Buffer.alloc(10 + clientId.length + 4)
  body.writeInt16BE(metadataKey, 0)
  body.writeInt16BE(metadataVersion, 2)
  body.writeInt32BE(1, 4) // correlation id
  body.writeInt16BE(clientId.length, 8)
  body.write(clientId, 10)
  body.writeInt32BE(0, 10 + clientId.length) // no topics
  const size = Buffer.alloc(4)
  size.writeInt32BE(body.length)
  return Buffer.concat([size, body])
}

function isReady(response: Buffer): boolean {
  let at = 8 // size, correlation id
  const brokers = response.readInt32BE(at)
  at += 4
  for (let i = 0; i < brokers; i++) {
    at += 4 // node id
    at += 2 + response.readInt16BE(at) // host
    at += 4 // port
    at += 2 + Math.max(0, response.readInt16BE(at)) // rack, -1 for none
  }
  const controller = response.readInt32BE(at)
  return brokers > 0 && controller >= 0
}
