import type { TopicIdentity } from '../../event/record/decoded.ts'
import type { Database } from '../../postgres/database.ts'
import { readOffsets } from './offsets.ts'
import type { PartitionState } from './partition.ts'
import type { TopicInspector } from '../record-source.ts'
import type { TransactionQueue } from '../store/transaction-queue.ts'

const CHECK_EVERY_MS = 10_000

export interface WatchDependencies {
  inspector: TopicInspector
  database: Database
}

/**
 * Checks periodically for changes that the worker is not notified of: offsets that someone else moved, and records that
 * expired while the worker waited for them. Owns its timer.
 */
export class PositionWatch {
  readonly #deps: WatchDependencies
  readonly #queue: Pick<TransactionQueue<unknown>, 'between'>
  #timer: NodeJS.Timeout | undefined

  constructor(deps: WatchDependencies, queue: Pick<TransactionQueue<unknown>, 'between'>) {
    this.#deps = deps
    this.#queue = queue
  }

  /** Watches these positions instead of earlier ones. Calls `onInvalid` at most once. */
  watch(identity: TopicIdentity, states: readonly PartitionState[], onInvalid: () => void): void {
    this.stop()
    const reads = new Map(states.map(({ partition, read }) => [partition, read]))
    const timer = setTimeout(() => {
      void this.#areInvalid(identity, states, reads).then((areInvalid) => {
        if (this.#timer !== timer) return // stopped, or watching other positions by now
        if (areInvalid) onInvalid()
        else this.watch(identity, states, onInvalid)
      })
    }, CHECK_EVERY_MS).unref()
    this.#timer = timer
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  /** Never rejects. */
  async #areInvalid(
    identity: TopicIdentity,
    states: readonly PartitionState[],
    earlierReads: ReadonlyMap<number, bigint>,
  ): Promise<boolean> {
    if (states.some(({ stopped }) => stopped !== undefined)) return true // an operator may have resolved it
    const { database, inspector } = this.#deps
    const haveMovedNow = async (): Promise<boolean> => await haveMoved(database, identity, states)
    // If PostgreSQL does not answer, reading the positions again detects the outage, even without traffic.
    if (await this.#queue.between(haveMovedNow).catch(() => true)) return true
    const isStuck = ({ partition, read, lastStable, writing }: PartitionState): boolean =>
      read < lastStable && read === earlierReads.get(partition) && writing === undefined
    if (!states.some(isStuck)) return false
    // The records to read may have expired: kafkajs then silently waits at the new start of the log.
    const lows = await inspector.describe().then(
      ({ partitions }) => partitions,
      () => undefined, // an outage of Kafka is detected elsewhere
    )
    return states.some((state) => isStuck(state) && (lows?.get(state.partition)?.low ?? 0n) > state.read)
  }
}

/** Whether another worker or an operator (resolve.ts) has moved offsets since this worker read or wrote them. */
async function haveMoved(
  database: Database,
  identity: TopicIdentity,
  states: readonly PartitionState[],
): Promise<boolean> {
  const loaded = await readOffsets(database, identity)
  if ('foreignCluster' in loaded) return states.length > 0
  return states.some(({ partition, next }) => loaded.offsets.get(partition)?.nextOffset !== next)
}
