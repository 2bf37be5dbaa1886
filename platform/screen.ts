import { clearLine, cursorTo } from 'node:readline'

/** Output for people: permanent lines and, on a terminal, one live line below them that is overwritten. */
export class Screen {
  readonly isTerminal: boolean
  readonly #out: NodeJS.WriteStream
  #live = ''

  constructor(out: NodeJS.WriteStream) {
    this.#out = out
    this.isTerminal = out.isTTY
    // A closed terminal or pipe must not end the process before it has stopped its children.
    out.on('error', () => {})
  }

  /** Prints a permanent line. */
  say(line: string): void {
    this.#clear()
    this.#out.write(`${line}\n`)
    this.#draw()
  }

  /** Replaces the live line; does nothing without a terminal. */
  live(line: string): void {
    if (!this.isTerminal) return
    this.#clear()
    this.#live = line
    this.#draw()
  }

  #clear(): void {
    if (!this.#live) return
    cursorTo(this.#out, 0)
    clearLine(this.#out, 0)
  }

  #draw(): void {
    if (this.#live) this.#out.write(this.#live.slice(0, (this.#out.columns || 80) - 1))
  }
}
