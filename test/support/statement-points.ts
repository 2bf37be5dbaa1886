import { Framer } from '../../tools/drill/framer.ts'
import type { Passage, Side, Sighting, Tap } from '../../tools/drill/tcp-proxy.ts'

/** The points of a statement at which a program may die: not sent yet, sent, and done but not answered. */
export const POINTS = ['before', 'sent', 'done'] as const
export type Point = (typeof POINTS)[number]

/** Type byte and length: https://www.postgresql.org/docs/18/protocol-message-formats.html */
const HEADER_BYTES = 5

/**
 * Reads the PostgreSQL protocol of one connection, and marks the points of its statements that are wanted with the moment
 * `wanted`.
 */
export class StatementPoints implements Tap {
  readonly client = undefined
  readonly #isWanted: (point: Point, statement: string) => boolean
  #statement: string | undefined
  #isStarted = false
  readonly #framers: Record<Side, Framer> = {
    client: new Framer((bytes) => {
      const end = endOf(bytes, this.#isStarted ? 1 : 0)
      if (end !== undefined && bytes.length >= end) this.#isStarted = true
      return end
    }),
    server: new Framer((bytes) => endOf(bytes, 1)),
  }

  constructor(isWanted: (point: Point, statement: string) => boolean) {
    this.#isWanted = isWanted
  }

  see(from: Side, chunk: Buffer): Passage[] {
    return this.#framers[from]
      .push(chunk)
      .map((bytes) => ({ bytes, sightings: this.#sightings(from, bytes) }))
  }

  #sightings(from: Side, message: Buffer): Sighting[] {
    const type = message.toString('latin1', 0, 1)
    if (from === 'client' && type === 'Q') {
      this.#statement = textAt(message, HEADER_BYTES)
      return [...this.#at('before', 'before'), ...this.#at('sent', 'after')]
    }
    if (from === 'client' && type === 'P') {
      this.#statement = textAt(message, message.indexOf(0, HEADER_BYTES) + 1) // after the name
      return this.#at('before', 'before')
    }
    if (from === 'client' && type === 'S') return this.#at('sent', 'after')
    if (from === 'server' && type === 'Z') {
      const done = this.#at('done', 'before')
      this.#statement = undefined
      return done
    }
    return []
  }

  #at(point: Point, hold: Sighting['hold']): Sighting[] {
    const statement = this.#statement
    return statement !== undefined && this.#isWanted(point, statement) ? [{ moment: 'wanted', hold }] : []
  }
}

/** Only the startup message has no type byte before its length. */
function endOf(bytes: Buffer, typeBytes: 0 | 1): number | undefined {
  return bytes.length < HEADER_BYTES ? undefined : typeBytes + bytes.readInt32BE(typeBytes)
}

function textAt(message: Buffer, start: number): string {
  return message.toString('utf8', start, message.indexOf(0, start))
}
