import { type Backoff, backoffMs } from '../../platform/backoff.ts'

const SUSPENSION: Backoff = { firstMs: 250, lastMs: 5_000 }

/**
 * Tracks which partitions are available: those with a leader, except the ones that are suspended after a failed send. The
 * suspension grows with consecutive failures, so that healthy partitions take over.
 */
export class PartitionHealth {
  readonly #onChange: () => void
  #withLeader: number[] = []
  readonly #failures = new Map<number, number>()
  readonly #suspendedUntil = new Map<number, number>()
  #available: readonly number[] = []
  #timer: NodeJS.Timeout | undefined

  /** @param onChange called when a partition may have become available */
  constructor(onChange: () => void) {
    this.#onChange = onChange
  }

  available(): readonly number[] {
    return this.#available
  }

  /** Updates the partitions from Kafka's metadata; the leader is -1 if there is none. */
  learn(partitions: readonly { partitionId: number; leader: number | null }[]): void {
    const withLeader = partitions
      .filter((partition) => partition.leader !== null && partition.leader >= 0)
      .map((partition) => partition.partitionId)
      .toSorted((a, b) => a - b)
    const same =
      withLeader.length === this.#withLeader.length && withLeader.every((id, i) => id === this.#withLeader[i])
    if (same) return
    this.#withLeader = withLeader
    this.#update()
    // Not synchronously: the caller may be in the middle of a send.
    queueMicrotask(this.#onChange)
  }

  suspend(partition: number): void {
    const earlier = this.#failures.get(partition) ?? 0
    this.#failures.set(partition, earlier + 1)
    this.#suspendedUntil.set(partition, performance.now() + backoffMs(SUSPENSION, earlier))
    this.#update()
  }

  succeeded(partition: number): void {
    if (this.#failures.size === 0) return
    this.#failures.delete(partition)
    if (this.#suspendedUntil.delete(partition)) this.#update()
  }

  /** Clears all failures, after an outage of Kafka as a whole. */
  forgive(): void {
    this.#failures.clear()
    this.#suspendedUntil.clear()
    this.#update()
  }

  close(): void {
    this.forgive()
    this.#withLeader = []
    this.#update()
  }

  #update(): void {
    const now = performance.now()
    let next = Number.POSITIVE_INFINITY
    for (const [partition, until] of this.#suspendedUntil) {
      if (until <= now) this.#suspendedUntil.delete(partition)
      else next = Math.min(next, until)
    }
    this.#available = this.#withLeader.filter((partition) => !this.#suspendedUntil.has(partition))
    clearTimeout(this.#timer)
    this.#timer = undefined
    if (next === Number.POSITIVE_INFINITY) return
    this.#timer = setTimeout(
      () => {
        this.#update()
        this.#onChange()
      },
      Math.ceil(next - now) + 1,
    )
  }
}
