import { Framer } from './framer.ts'
import type { Side } from './tcp-proxy.ts'

/** Type byte and length: https://www.postgresql.org/docs/18/protocol-message-formats.html */
export const HEADER_BYTES = 5

/** Split both directions of a connection, from its startup message on, into messages of the protocol, version 3. */
export function postgresFramers(): Readonly<Record<Side, Framer>> {
  let isStarted = false
  return {
    client: new Framer((bytes) => {
      const end = endOf(bytes, isStarted ? 1 : 0)
      if (end !== undefined && bytes.length >= end) isStarted = true
      return end
    }),
    server: new Framer((bytes) => endOf(bytes, 1)),
  }
}

/** Only the startup message has no type byte before its length. */
function endOf(bytes: Buffer, typeBytes: 0 | 1): number | undefined {
  return bytes.length < HEADER_BYTES ? undefined : typeBytes + bytes.readInt32BE(typeBytes)
}
