/**
 * The time between two readings of the positions. When it is over, all positions may be wrong, and work that began in it
 * is abandoned: whoever waits for something keeps the epoch and looks afterwards.
 */
export class Epoch {
  #isOver = false

  get isOver(): boolean {
    return this.#isOver
  }

  end(): void {
    this.#isOver = true
  }
}
