import { HEADER_BYTES, postgresFramers } from '../../tools/drill/postgres-framers.ts'
import type { Passage, Side, Sighting, Tap } from '../../tools/drill/tcp-proxy.ts'

/** The points of a statement at which a program may die: not sent yet, sent, and done but not answered. */
export const POINTS = ['before', 'sent', 'done'] as const
export type Point = (typeof POINTS)[number]

/**
 * Reads the PostgreSQL protocol of one connection, and marks the points of its statements that are wanted with the moment
 * `wanted`.
 */
export class StatementPoints implements Tap {
  readonly client = undefined
  readonly #isWanted: (point: Point, statement: string) => boolean
  #statement: string | undefined
  readonly #framers = postgresFramers()

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

function textAt(message: Buffer, start: number): string {
  return message.toString('utf8', start, message.indexOf(0, start))
}
