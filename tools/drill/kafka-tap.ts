import { Framer } from './framer.ts'
import type { Passage, Side, Tap } from './tcp-proxy.ts'

/** https://kafka.apache.org/protocol.html#protocol_api_keys */
const PRODUCE = 0
const SIZE_BYTES = 4
/** Size, api_key, api_version, correlation_id and length of client_id: request header, version 1 and later. */
const CLIENT_ID_AT = 14

/** Reads Kafka's request and response headers: the client id, and which responses belong to Produce requests. */
export class KafkaTap implements Tap {
  client: string | undefined
  readonly #produces = new Set<number>()
  readonly #framers: Record<Side, Framer> = { client: new Framer(endOf), server: new Framer(endOf) }

  see(from: Side, chunk: Buffer): Passage[] {
    return this.#framers[from].push(chunk).map((bytes) => {
      if (from === 'client') this.#seeRequest(bytes)
      const isAnswer = from === 'server' && this.#produces.delete(bytes.readInt32BE(SIZE_BYTES))
      return { bytes, sightings: isAnswer ? [{ moment: 'before_produce_answer', hold: 'before' }] : [] }
    })
  }

  #seeRequest(bytes: Buffer): void {
    if (bytes.length < CLIENT_ID_AT) return
    const length = bytes.readInt16BE(CLIENT_ID_AT - 2)
    if (length > 0) this.client ??= bytes.toString('utf8', CLIENT_ID_AT, CLIENT_ID_AT + length)
    if (bytes.readInt16BE(SIZE_BYTES) === PRODUCE) this.#produces.add(bytes.readInt32BE(SIZE_BYTES + 4))
  }
}

function endOf(bytes: Buffer): number | undefined {
  return bytes.length < SIZE_BYTES ? undefined : SIZE_BYTES + bytes.readInt32BE(0)
}
