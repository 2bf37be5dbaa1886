import type { TopicIdentity } from '../../event/record/decoded.ts'
import type { Database } from '../../postgres/database.ts'
import { readOffsets } from './offsets.ts'
import type { PartitionState } from './partition.ts'
import type { TopicInspector } from '../record-source.ts'
import type { TransactionQueue } from '../store/transaction-queue.ts'

const LOOK_AFTER_MS = 10_000

export interface WatchedParts {
  inspector: TopicInspector
  database: Database
}

/** Looks now and then for what makes positions void without a word to us. Owns its timer. */
export class PositionWatch {
  readonly #parts: WatchedParts
  readonly #queue: Pick<TransactionQueue<unknown>, 'between'>
  #timer: NodeJS.Timeout | undefined

  constructor(parts: WatchedParts, queue: Pick<TransactionQueue<unknown>, 'between'>) {
    this.#parts = parts
    this.#queue = queue
  }

  /** Watches these positions instead of any earlier ones; `onVoid` is called once, if at all. */
  watch(identity: TopicIdentity, states: readonly PartitionState[], onVoid: () => void): void {
    this.stop()
    const reads = new Map(states.map(({ partition, read }) => [partition, read]))
    const timer = setTimeout(() => {
      void this.#areVoid(identity, states, reads).then((are) => {
        if (this.#timer !== timer) return // watching others by now
        if (are) onVoid()
        else this.watch(identity, states, onVoid)
      })
    }, LOOK_AFTER_MS).unref()
    this.#timer = timer
  }

  stop(): void {
    clearTimeout(this.#timer)
    this.#timer = undefined
  }

  /** Never rejects. */
  async #areVoid(
    identity: TopicIdentity,
    states: readonly PartitionState[],
    earlierReads: ReadonlyMap<number, bigint>,
  ): Promise<boolean> {
    if (states.some(({ stopped }) => stopped !== undefined)) return true // a person may have resolved it
    const { database, inspector } = this.#parts
    const haveMovedNow = async (): Promise<boolean> => await haveMoved(database, identity, states)
    // Where PostgreSQL does not answer, reading the positions again shows the outage, also without traffic.
    if (await this.#queue.between(haveMovedNow).catch(() => true)) return true
    const isStill = ({ partition, read, lastStable, writing }: PartitionState): boolean =>
      read < lastStable && read === earlierReads.get(partition) && writing === undefined
    if (!states.some(isStill)) return false
    // What Kafka had for us may have expired: kafkajs then waits at the new start of the log without a word.
    const lows = await inspector.describe().then(
      ({ partitions }) => partitions,
      () => undefined, // Kafka's own outages show by themselves
    )
    return states.some((state) => isStill(state) && (lows?.get(state.partition)?.low ?? 0n) > state.read)
  }
}

/** Whether someone else has moved offsets since we read or wrote them: another worker, or a person (resolve.ts). */
async function haveMoved(
  database: Database,
  identity: TopicIdentity,
  states: readonly PartitionState[],
): Promise<boolean> {
  const loaded = await readOffsets(database, identity)
  if ('foreignCluster' in loaded) return states.length > 0
  return states.some(({ partition, next }) => loaded.offsets.get(partition)?.nextOffset !== next)
}
