import { type Fetched, markerType } from '../../kafka/patches.ts'

const COMMIT = 1

/** Records fetched so far of a producer's open transaction. */
interface Running {
  shown: number
  hidden: number
}

interface PartitionCheck {
  /** The next offset to check: after a rejoin, earlier records are fetched again. */
  next: bigint
  /** By producer id. */
  running: Map<string, Running>
  wrong: number
  /** Offset of the marker that ends the first wrong transaction. */
  firstWrong: bigint | undefined
}

/**
 * Checks independently which transactional records were skipped as aborted. kafka/patches.ts, which the sink shares,
 * uses the broker's list of aborted transactions. This check uses the control records instead: a producer has one
 * transaction at a time, so its next marker in the partition commits or aborts all its records before it.
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

  /** One sentence for each partition where the two methods disagree. */
  problems(): string[] {
    return [...this.#partitions]
      .filter(([, { wrong }]) => wrong > 0)
      .toSorted(([a], [b]) => a - b)
      .map(
        ([partition, { wrong, firstWrong }]) =>
          `partition ${partition}: ${wrong} transaction(s) were read differently from their markers, the first one ends at ` +
          `offset ${firstWrong}: verify and the sink may read aborted records, or skip committed ones`,
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
