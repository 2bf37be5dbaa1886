import { type Backoff, backoffMs } from '../../platform/backoff.ts'

const SUSPENSION: Backoff = { firstMs: 250, lastMs: 5_000 }

/**
 * Which partitions are worth a send: those with a leader, less those whose last send failed, for a while that grows
 * with their failures. So the healthy ones carry on alone.
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

  /** Takes over what Kafka says; a partition without a leader has -1. */
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
    // Not within the call: it may come from inside a send.
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

  /** All get a new start: Kafka as a whole was away. */
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
