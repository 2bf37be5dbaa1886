/**
 * A shorter way into kafkajs' produce requests. Its encoder takes 7 to 10 us a record and cannot be exchanged. So it is
 * given one small record, a placeholder, and the socket that it is given as well (`socketFactory`) puts our own record batch
 * where it finds the placeholder. All else stays with kafkajs: connections, leaders, SASL, answers, timeouts.
 *
 *     handOver(records) -> placeholder -> kafkajs encodes: | length | ... | length | batch of the placeholder |
 *                                  socket.write():  | length'| ... | length'| batch of the records |
 *
 * A placeholder that is not known, or not any more, must never reach Kafka: the connection is ended instead.
 */
import { connect, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { ISocketFactory } from 'kafkajs'
import type { HandOver } from './hand-over.ts'
import { COUNT_AT, encodeRecordBatch, HEADER_BYTES } from './record-batch.ts'
import type { Records } from '../../event/record/records.ts'

const KEEP_ALIVE_MS = 60_000
/** https://kafka.apache.org/protocol#The_Messages_Produce */
const PRODUCE = 0
/** Versions whose request has no tagged fields; kafkajs knows up to 7. */
const VERSIONS = { first: 3, last: 7 }
const PLACEHOLDER_BYTES = 16
/** In a request, behind its length: api key, version, correlation id. */
const API_KEY_AT = 4
const VERSION_AT = 6
const CLIENT_ID_AT = 12

interface Waiting {
  requests: readonly Records[]
  mayBeWritten: boolean
}

export class ProduceSockets {
  readonly #waiting = new Map<string, Waiting>()
  #placeholders = 0

  /** For the configuration of kafkajs. */
  readonly socketFactory: ISocketFactory = ({ host, port, ssl, onConnect }) => {
    // kafkajs hands on `true` as well, against its types.
    const options = typeof ssl === 'object' ? ssl : {}
    const socket = ssl
      ? connectTls({ host, port, ...(isIP(host) ? {} : { servername: host }), ...options }, onConnect)
      : connect({ host, port }, onConnect)
    socket.setKeepAlive(true, KEEP_ALIVE_MS)
    socket.setNoDelay(true) // a request is written whole: there is nothing to wait for
    this.#replacePlaceholders(socket)
    return socket
  }

  /** For the publisher. */
  readonly handOver: HandOver = (partition, requests) => {
    this.#placeholders += 1
    const placeholder = String(this.#placeholders).padStart(PLACEHOLDER_BYTES, '0')
    const waiting = { requests, mayBeWritten: false }
    this.#waiting.set(placeholder, waiting)
    return {
      messages: [{ value: Buffer.from(placeholder, 'latin1'), partition }],
      mayBeWritten: () => waiting.mayBeWritten,
      end: () => this.#waiting.delete(placeholder),
    }
  }

  /** kafkajs writes a request at a time, as one buffer. */
  #replacePlaceholders(socket: Socket): void {
    const write = socket.write.bind(socket)
    socket.write = (request: Uint8Array | string): boolean => {
      if (!Buffer.isBuffer(request) || !isProduce(request)) return write(request)
      try {
        const [head, batch] = this.#exchange(request)
        // Together: each alone would be a packet of its own.
        socket.cork()
        write(head)
        const isDrained = write(batch)
        socket.uncork()
        return isDrained
      } catch (error) {
        // kafkajs writes from timers, too, where nobody would catch it. This fails all sends of the connection.
        socket.destroy(error as Error)
        return false
      }
    }
  }

  /** The two parts of the request with the batch. @throws {ProduceRequestError} */
  #exchange(request: Buffer): [head: Buffer, batch: Buffer] {
    const at = recordSetAt(request)
    if (at === undefined) {
      const version = request.readInt16BE(VERSION_AT)
      throw new ProduceRequestError(`kafkajs wrote a produce request (version ${version}) of another form`)
    }
    // Behind a record's value stands one byte, the number of its headers.
    const placeholder = request.toString('latin1', request.length - 1 - PLACEHOLDER_BYTES, request.length - 1)
    const waiting = this.#waiting.get(placeholder)
    if (waiting === undefined) throw new ProduceRequestError('the send of a produce request has ended before')
    const batch = encodeRecordBatch(waiting.requests, Date.now())
    request.writeInt32BE(at + batch.length, 0) // this length does not count itself
    request.writeInt32BE(batch.length, at)
    waiting.mayBeWritten = true
    return [request.subarray(0, at + 4), batch]
  }
}

/** Such a request must not go out. */
class ProduceRequestError extends Error {
  readonly code = 'PRODUCE_REQUEST'
}

function isProduce(request: Buffer): boolean {
  return request.length > CLIENT_ID_AT && request.readInt16BE(API_KEY_AT) === PRODUCE
}

/**
 * Where the length of the record set stands in a produce request of one topic-partition and one record, with which it
 * ends; undefined when it is no such request.
 */
function recordSetAt(request: Buffer): number | undefined {
  const version = request.readInt16BE(VERSION_AT)
  if (version < VERSIONS.first || version > VERSIONS.last) return undefined
  let at = afterString(request, CLIENT_ID_AT)
  at = afterString(request, at) // the transaction's id
  at += 2 + 4 // acks, timeout
  if (request.readInt32BE(at) !== 1) return undefined // topics
  at = afterString(request, at + 4)
  if (request.readInt32BE(at) !== 1) return undefined // partitions
  at += 4 + 4
  const batch = at + 4
  if (batch + request.readInt32BE(at) !== request.length) return undefined
  return request.length > batch + HEADER_BYTES && request.readInt32BE(batch + COUNT_AT) === 1 ? at : undefined
}

/** A string of two bytes' length; -1 is none. */
function afterString(request: Buffer, at: number): number {
  return at + 2 + Math.max(0, request.readInt16BE(at))
}
