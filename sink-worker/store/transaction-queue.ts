/**
 * Runs one transaction at a time. Items that arrive while one runs are written together in the next one, so many
 * partitions with a few records each share one COMMIT, and transactions grow with the load. Owns the waiting items.
 */
export class TransactionQueue<Item> {
  readonly #write: (items: readonly Item[]) => Promise<boolean>
  #waiting: { item: Item; settle: (written: boolean) => void }[] = []
  #reads: (() => Promise<void>)[] = []
  #running: Promise<void> | undefined
  #current: Promise<unknown> | undefined

  /** @param write writes all items or none; resolves to whether they were written; must not reject */
  constructor(write: (items: readonly Item[]) => Promise<boolean>) {
    this.#write = write
  }

  /** Resolves to whether the item was written. */
  async add(item: Item): Promise<boolean> {
    return await new Promise((settle) => {
      this.#waiting.push({ item, settle })
      this.#running ??= this.#run()
    })
  }

  /** Runs the work between two transactions: within one, the connection would see uncommitted data. */
  async between<T>(work: () => Promise<T>): Promise<T> {
    const result = Promise.withResolvers<T>()
    this.#reads.push(async () => await work().then(result.resolve, result.reject))
    this.#running ??= this.#run()
    return await result.promise
  }

  /** The running transaction, or the running work of between(). Items added now are not part of it. Never rejects. */
  get current(): Promise<unknown> | undefined {
    return this.#current
  }

  /** Resolves when nothing is running or waiting. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running
  }

  async #run(): Promise<void> {
    await new Promise(setImmediate) // lets the batches of the same fetch's other partitions join
    while (this.#waiting.length > 0 || this.#reads.length > 0) {
      for (const read of this.#reads.splice(0)) await this.#step(read())
      if (this.#waiting.length === 0) continue
      const group = this.#waiting.splice(0)
      const written = await this.#step(this.#write(group.map(({ item }) => item)))
      for (const { settle } of group) settle(written)
    }
    this.#running = undefined
  }

  async #step<T>(step: Promise<T>): Promise<T> {
    this.#current = step
    const result = await step
    this.#current = undefined
    return result
  }
}
