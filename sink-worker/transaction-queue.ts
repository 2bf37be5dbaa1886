/**
 * One transaction at a time: what comes while one runs goes into the next one together. So many partitions with a few
 * records each cost one COMMIT, and the batches grow with the load by themselves. Owns what waits.
 */
export class TransactionQueue<Item> {
  readonly #write: (items: readonly Item[]) => Promise<boolean>
  #waiting: { item: Item; settle: (written: boolean) => void }[] = []
  #running: Promise<void> | undefined

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

  /** Resolves when nothing runs and nothing waits. */
  async idle(): Promise<void> {
    while (this.#running !== undefined) await this.#running
  }

  async #run(): Promise<void> {
    await new Promise(setImmediate) // the handlers of a fetch's other partitions come first
    while (this.#waiting.length > 0) {
      const group = this.#waiting.splice(0)
      const written = await this.#write(group.map(({ item }) => item))
      for (const { settle } of group) settle(written)
    }
    this.#running = undefined
  }
}
