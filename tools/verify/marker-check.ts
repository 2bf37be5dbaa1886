import { type Fetched, markerType } from '../../kafka/patches.ts'

const COMMIT = 1

/** What was fetched of a producer's transaction that has not ended yet. */
interface Running {
  shown: number
  hidden: number
}

interface PartitionCheck {
  /** The next offset; what was fetched before is fetched again after a rejoin. */
  next: bigint
  /** By producer id. */
  running: Map<string, Running>
  wrong: number
  /** Of the marker that ends the first wrong one. */
  firstWrong: bigint | undefined
}

/**
 * Checks which records of transactions were left out as aborted, by another rule than the one that left them out
 * (kafka/patches.ts, which the sink shares, goes by the broker's list of aborted transactions): a producer has
 * one transaction at a time, so its next marker in the partition says what became of its records before it.
 */
export class MarkerCheck {
  readonly #partitions = new Map<number, PartitionCheck>()

  take({ partition, messages }: Pick<Fetched, 'partition' | 'messages'>): void {
    const check = this.#partitions.get(partition) ?? {
      next: 0n,
      running: new Map<string, Running>(),
      wrong: 0,
      firstWrong: undefined,
    }
    this.#partitions.set(partition, check)
    for (const { offset, key, isControlRecord, batchContext } of messages) {
      const at = BigInt(offset)
      if (at < check.next || batchContext === undefined) continue
      check.next = at + 1n
      const { producerId, inTransaction, isControlBatch } = batchContext
      if (isControlBatch) end(check, producerId, at, markerType(key) === COMMIT)
      else if (inTransaction) {
        const running = check.running.get(producerId) ?? { shown: 0, hidden: 0 }
        running[isControlRecord ? 'hidden' : 'shown'] += 1
        check.running.set(producerId, running)
      }
    }
  }

  /** One sentence for each partition where the two rules differ. */
  problems(): string[] {
    return [...this.#partitions]
      .filter(([, { wrong }]) => wrong > 0)
      .toSorted(([a], [b]) => a - b)
      .map(
        ([partition, { wrong, firstWrong }]) =>
          `partition ${partition}: ${wrong} transaction(s) were not read as their markers say, the first one ends at ` +
          `offset ${firstWrong}: verify and the sink may take aborted records for committed, or leave out committed ones`,
      )
  }
}

function end(check: PartitionCheck, producerId: string, at: bigint, committed: boolean): void {
  const { shown, hidden } = check.running.get(producerId) ?? { shown: 0, hidden: 0 }
  check.running.delete(producerId)
  if ((committed ? hidden : shown) === 0) return
  check.wrong += 1
  check.firstWrong ??= at
}
