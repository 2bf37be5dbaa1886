/** Chooses partitions round robin, with at most one send in flight to each. */
export class PartitionTurns {
  readonly #busy = new Set<number>()
  #next = 0

  /** The next partition of `available` with no send in flight. It is busy until giveBack(). */
  take(available: readonly number[]): number | undefined {
    for (let step = 0; step < available.length; step++) {
      const partition = available[(this.#next + step) % available.length]
      if (partition !== undefined && !this.#busy.has(partition)) {
        this.#next = (this.#next + step + 1) % available.length
        this.#busy.add(partition)
        return partition
      }
    }
    return undefined
  }

  giveBack(partition: number): void {
    this.#busy.delete(partition)
  }
}
