/**
 * Puts record batches of our own into kafkajs' produce requests, because its encoder takes 7 to 10 us per record and
 * cannot be replaced. kafkajs gets a single small record, the placeholder. Its socket, which we also provide
 * (`socketFactory`), replaces the placeholder's batch with our own when the request is written. Everything else is left to
 * kafkajs: connections, leaders, SASL, responses, timeouts.
 *
 *     prepareSend(records) -> placeholder -> kafkajs encodes: | length | ... | length | batch of the placeholder |
 *                                             socket.write(): | length'| ... | length'| batch of the records |
 *
 * A placeholder that is not, or no longer, registered must never reach Kafka: the connection is closed instead.
 */
import { ProduceRequestError } from '../errors.ts'
import { openSocket } from '../socket.ts'
import type { Socket } from 'node:net'
import type { ISocketFactory } from 'kafkajs'
import type { PrepareSend } from './prepare-send.ts'
import { COUNT_AT, encodeRecordBatch, HEADER_BYTES } from './record-batch.ts'
import type { Records } from '../../event/record/records.ts'

/** https://kafka.apache.org/protocol#The_Messages_Produce */
const PRODUCE = 0
/** Request versions without tagged fields; kafkajs supports up to 7. */
const VERSIONS = { first: 3, last: 7 }
const PLACEHOLDER_BYTES = 16
/** Offsets in a request: length, api key, version, correlation id, client id. */
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

  /** The `socketFactory` option of kafkajs. */
  readonly socketFactory: ISocketFactory = (args) => {
    const socket = openSocket(args)
    this.#replacePlaceholders(socket)
    return socket
  }

  /** Registers the records under a placeholder, for KafkaPublisher. */
  readonly prepareSend: PrepareSend = (partition, requests) => {
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

  /** Wraps socket.write(). kafkajs writes each request as one buffer. */
  #replacePlaceholders(socket: Socket): void {
    const write = socket.write.bind(socket)
    socket.write = (request: Uint8Array | string): boolean => {
      if (!Buffer.isBuffer(request) || !isProduce(request)) return write(request)
      try {
        const [head, batch] = this.#replace(request)
        // Corked, so that the two parts are not sent in separate packets.
        socket.cork()
        write(head)
        const isDrained = write(batch)
        socket.uncork()
        return isDrained
      } catch (error) {
        // kafkajs also writes from timers, where an exception would be uncaught. This fails all sends of the connection.
        socket.destroy(error as Error)
        return false
      }
    }
  }

  /**
   * Returns the request with the placeholder replaced, in two parts.
   *
   * @throws {ProduceRequestError} the request does not contain a registered placeholder
   */
  #replace(request: Buffer): [head: Buffer, batch: Buffer] {
    const at = recordSetAt(request)
    if (at === undefined) {
      const version = request.readInt16BE(VERSION_AT)
      throw new ProduceRequestError(`unexpected form of a produce request (version ${version})`)
    }
    // The last byte, after the value of the record, is the number of headers.
    const placeholder = request.toString('latin1', request.length - 1 - PLACEHOLDER_BYTES, request.length - 1)
    const waiting = this.#waiting.get(placeholder)
    if (waiting === undefined)
      throw new ProduceRequestError('unknown or expired placeholder in a produce request')
    const batch = encodeRecordBatch(waiting.requests, Date.now())
    request.writeInt32BE(at + batch.length, 0) // the length does not include its own four bytes
    request.writeInt32BE(batch.length, at)
    waiting.mayBeWritten = true
    return [request.subarray(0, at + 4), batch]
  }
}

function isProduce(request: Buffer): boolean {
  return request.length > CLIENT_ID_AT && request.readInt16BE(API_KEY_AT) === PRODUCE
}

/**
 * The offset of the length of the record set in a produce request that has one topic-partition and ends with one record;
 * undefined for any other request.
 */
function recordSetAt(request: Buffer): number | undefined {
  const version = request.readInt16BE(VERSION_AT)
  if (version < VERSIONS.first || version > VERSIONS.last) return undefined
  let at = afterString(request, CLIENT_ID_AT)
  at = afterString(request, at) // transactional id
  at += 2 + 4 // acks, timeout
  if (request.readInt32BE(at) !== 1) return undefined // topics
  at = afterString(request, at + 4)
  if (request.readInt32BE(at) !== 1) return undefined // partitions
  at += 4 + 4
  const batch = at + 4
  if (batch + request.readInt32BE(at) !== request.length) return undefined
  return request.length > batch + HEADER_BYTES && request.readInt32BE(batch + COUNT_AT) === 1 ? at : undefined
}

/** The offset after a nullable string: int16 length, -1 for null, and the text. */
function afterString(request: Buffer, at: number): number {
  return at + 2 + Math.max(0, request.readInt16BE(at))
}
