/**
 * One transaction at a time: what comes while one runs goes into the next one together. So many partitions with a few
 * records each cost one COMMIT, and the batches grow with the load by themselves. Owns what waits.
 */
export class TransactionQueue<Item> {
  readonly #write: (items: readonly Item[]) => Promise<boolean>
  #waiting: { item: Item; settle: (written: boolean) => void }[] = []
  #looks: (() => Promise<void>)[] = []
  #running: Promise<void> | undefined
  #current: Promise<unknown> | undefined

  /** @param write writes all items or none, and says which; must not reject */
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

  /** Runs the work while no transaction does: within one, the same connection would show what is not committed. */
  async between<T>(work: () => Promise<T>): Promise<T> {
    const result = Promise.withResolvers<T>()
    this.#looks.push(async () => await work().then(result.resolve, result.reject))
    this.#running ??= this.#run()
    return await result.promise
  }

  /** The transaction, or the look between two, that runs now: what is added does not go with it. Never rejects. */
  get current(): Promise<unknown> | undefined {
    return this.#current
  }

  /** Resolves when nothing runs and nothing waits. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running
  }

  async #run(): Promise<void> {
    await new Promise(setImmediate) // the handlers of a fetch's other partitions come first
    while (this.#waiting.length > 0 || this.#looks.length > 0) {
      for (const look of this.#looks.splice(0)) await this.#step(look())
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
