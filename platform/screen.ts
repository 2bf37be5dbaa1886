import { clearLine, cursorTo } from 'node:readline'

/** Lines that stay, and below them, on a terminal, one line that is overwritten. */
export class Screen {
  readonly isTerminal: boolean
  readonly #out: NodeJS.WriteStream
  #live = ''

  constructor(out: NodeJS.WriteStream) {
    this.#out = out
    this.isTerminal = out.isTTY
    // A closed terminal or pipe must not end the launcher before it has stopped its children.
    out.on('error', () => {})
  }

  /** Prints a line that stays. */
  say(line: string): void {
    this.#clear()
    this.#out.write(`${line}\n`)
    this.#draw()
  }

  /** Replaces the live line; nothing without a terminal. */
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
