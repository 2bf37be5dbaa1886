import type { TopicIdentity } from '../../event/record/decoded.ts'
import type { Database } from '../../postgres/database.ts'
import { readOffsets } from './offsets.ts'
import type { Partition } from './partition.ts'
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
  watch(identity: TopicIdentity, partitions: readonly Partition[], onInvalid: () => void): void {
    this.stop()
    const reads = new Map(partitions.map(({ number, read }) => [number, read]))
    const timer = setTimeout(() => {
      void this.#areInvalid(identity, partitions, reads).then((areInvalid) => {
        if (this.#timer !== timer) return // stopped, or watching other positions by now
        if (areInvalid) onInvalid()
        else this.watch(identity, partitions, onInvalid)
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
    partitions: readonly Partition[],
    earlierReads: ReadonlyMap<number, bigint>,
  ): Promise<boolean> {
    if (partitions.some(({ stopped }) => stopped !== undefined)) return true // an operator may have resolved it
    const { database, inspector } = this.#deps
    const haveMovedNow = async (): Promise<boolean> => await haveMoved(database, identity, partitions)
    // If PostgreSQL does not answer, reading the positions again detects the outage, even without traffic.
    if (await this.#queue.between(haveMovedNow).catch(() => true)) return true
    const isStuck = ({ number, read, isWaiting }: Partition): boolean =>
      isWaiting && read === earlierReads.get(number)
    if (!partitions.some(isStuck)) return false
    // The records to read may have expired: kafkajs then silently waits at the new start of the log.
    const lows = await inspector.describe().then(
      (topic) => topic.partitions,
      () => undefined, // an outage of Kafka is detected elsewhere
    )
    return partitions.some((partition) => {
      const low = lows?.get(partition.number)?.low ?? 0n
      return isStuck(partition) && low > partition.read
    })
  }
}

/** Whether another worker or an operator (resolve.ts) has moved offsets since this worker read or wrote them. */
async function haveMoved(
  database: Database,
  identity: TopicIdentity,
  partitions: readonly Partition[],
): Promise<boolean> {
  const loaded = await readOffsets(database, identity)
  if ('foreignCluster' in loaded) return partitions.length > 0
  return partitions.some(({ number, next }) => loaded.offsets.get(number)?.nextOffset !== next)
}
