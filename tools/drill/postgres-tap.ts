import { HEADER_BYTES, postgresFramers } from './postgres-framers.ts'
import type { Passage, Side, Sighting, Tap } from './tcp-proxy.ts'

/**
 * The moments of a sink's transaction, in order, as visible on the wire. At `before_hint` the worker has received the
 * response to COMMIT, but has not yet committed the offsets to Kafka.
 */
export const TRANSACTION_MOMENTS = [
  'before_fence',
  'within_copy',
  'before_commit',
  'before_commit_answer',
  'before_hint',
] as const
export type TransactionMoment = (typeof TRANSACTION_MOMENTS)[number]

interface TransactionSighting extends Sighting {
  moment: TransactionMoment
}

/** Reads the PostgreSQL protocol, version 3, of one sink's connection. */
export class PostgresTap implements Tap {
  readonly client = undefined
  readonly #watch = new TransactionWatch()
  readonly #framers = postgresFramers()

  see(from: Side, chunk: Buffer): Passage[] {
    return this.#framers[from]
      .push(chunk)
      .map((bytes) => ({ bytes, sightings: this.#watch.see(from, bytes) }))
  }
}

/** Recognises the moments of one connection's transactions from its messages. */
class TransactionWatch {
  #isFenced = false
  #isCopying = false

  /** @returns the moments marked by this message, in order */
  see(from: Side, message: Buffer): TransactionSighting[] {
    const type = message.toString('latin1', 0, 1)
    if (from === 'client' && type === 'Q') return this.#seeQuery(textOf(message))
    if (from === 'client' && type === 'd' && this.#isCopying) {
      this.#isCopying = false
      return [{ moment: 'within_copy', hold: 'after' }]
    }
    if (from === 'server' && type === 'C' && this.#isFenced && textOf(message) === 'COMMIT') {
      this.#isFenced = false
      return [
        { moment: 'before_commit_answer', hold: 'before' },
        { moment: 'before_hint', hold: 'after' },
      ]
    }
    return []
  }

  #seeQuery(sql: string): TransactionSighting[] {
    this.#isCopying = this.#isFenced && sql.startsWith('COPY ')
    if (sql.startsWith('/* fence ')) {
      this.#isFenced = true
      return [{ moment: 'before_fence', hold: 'before' }]
    }
    if (sql === 'COMMIT' && this.#isFenced) return [{ moment: 'before_commit', hold: 'before' }]
    return []
  }
}

/** The text of a message that consists of one string: the SQL of a Query (Q), the tag of a CommandComplete (C). */
function textOf(message: Buffer): string {
  return message.toString('utf8', HEADER_BYTES, message.length - 1)
}
