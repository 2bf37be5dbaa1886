/**
 * A shorter way into kafkajs' produce requests. Its encoder takes 7 to 10 us a record and cannot be exchanged. So it is
 * given one small record, a slip, and the socket that it is given as well (`socketFactory`) puts our own record batch
 * where it finds the slip. All else stays with kafkajs: connections, leaders, SASL, answers, timeouts.
 *
 * A slip that is not known (any more) must never reach Kafka: the connection is ended instead.
 */
import { connect, isIP, type Socket } from 'node:net'
import { connect as connectTls } from 'node:tls'
import type { ISocketFactory } from 'kafkajs'
import type { HandOver } from './kafka-messages.ts'
import { encodeRecordBatch } from './record-batch.ts'
import type { Records } from './records.ts'

const KEEP_ALIVE_MS = 60_000
/** https://kafka.apache.org/protocol#The_Messages_Produce */
const PRODUCE = 0
/** Versions whose request has no tagged fields; kafkajs knows up to 7. */
const VERSIONS = { first: 3, last: 7 }
const SLIP_BYTES = 16

interface Waiting {
  requests: readonly Records[]
  isWritten: boolean
}

export class ProduceSockets {
  readonly #waiting = new Map<string, Waiting>()
  #slips = 0

  /** For the configuration of kafkajs. */
  readonly socketFactory: ISocketFactory = ({ host, port, ssl, onConnect }) => {
    // kafkajs hands on `true` as well, against its types.
    const options = typeof ssl === 'object' ? ssl : {}
    const socket = ssl
      ? connectTls({ host, port, ...(isIP(host) ? {} : { servername: host }), ...options }, onConnect)
      : connect({ host, port }, onConnect)
    socket.setKeepAlive(true, KEEP_ALIVE_MS)
    socket.setNoDelay(true)
    this.#exchangeSlips(socket)
    return socket
  }

  /** For the publisher. */
  readonly handOver: HandOver = (partition, requests) => {
    this.#slips += 1
    const slip = String(this.#slips).padStart(SLIP_BYTES, '0')
    const waiting = { requests, isWritten: false }
    this.#waiting.set(slip, waiting)
    return {
      messages: [{ value: Buffer.from(slip, 'latin1'), partition }],
      isWritten: () => waiting.isWritten,
      end: () => this.#waiting.delete(slip),
    }
  }

  /** kafkajs writes a request at a time, as one buffer. */
  #exchangeSlips(socket: Socket): void {
    const write = socket.write.bind(socket)
    socket.write = (request: Uint8Array | string): boolean => {
      if (!Buffer.isBuffer(request) || request.readInt16BE(4) !== PRODUCE) return write(request)
      const at = recordSetAt(request)
      const slip = request.toString('latin1', request.length - 1 - SLIP_BYTES, request.length - 1)
      const waiting = this.#waiting.get(slip)
      if (at === undefined || waiting === undefined) {
        socket.destroy(new Error('a produce request without a batch of ours'))
        return false
      }
      waiting.isWritten = true
      const batch = encodeRecordBatch(waiting.requests, Date.now())
      request.writeInt32BE(at + 4 + batch.length - 4, 0)
      request.writeInt32BE(batch.length, at)
      socket.cork()
      write(request.subarray(0, at + 4))
      const isDrained = write(batch)
      socket.uncork()
      return isDrained
    }
  }
}

/**
 * Where the length of the record set stands in a produce request of one topic-partition, with which it ends; undefined
 * when it is no such request.
 */
function recordSetAt(request: Buffer): number | undefined {
  const version = request.readInt16BE(6)
  if (version < VERSIONS.first || version > VERSIONS.last) return undefined
  let at = 12
  at = afterString(request, at) // the client's id
  at = afterString(request, at) // the transaction's id
  at += 2 + 4 // acks, timeout
  if (request.readInt32BE(at) !== 1) return undefined // topics
  at = afterString(request, at + 4)
  if (request.readInt32BE(at) !== 1) return undefined // partitions
  at += 4 + 4
  return at + 4 + request.readInt32BE(at) === request.length ? at : undefined
}

/** A string of two bytes' length; -1 is none. */
function afterString(request: Buffer, at: number): number {
  return at + 2 + Math.max(0, request.readInt16BE(at))
}
