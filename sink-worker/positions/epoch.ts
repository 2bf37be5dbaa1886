/**
 * The time between two readings of the positions. When it is over, all positions may be wrong, and work that began in it
 * is abandoned: code that awaits something keeps its epoch, and checks afterwards whether it is over.
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
