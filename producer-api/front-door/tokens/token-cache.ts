/** Tokens that were found valid, by their digest, so that most requests need no signature to be checked. */

/** A token is checked again after this time, even if it has not expired. */
const MAX_AGE_MS = 5 * 60_000

interface Entry<V> {
  verdict: V
  untilMs: number
}

/** At most `capacity` tokens; the one that was added first makes room for the next one. */
export class TokenCache<V> {
  readonly #capacity: number
  /** In the order of insertion. */
  readonly #entries = new Map<string, Entry<V>>()

  constructor(capacity: number) {
    this.#capacity = capacity
  }

  find(digest: string, nowMs: number): V | undefined {
    const entry = this.#entries.get(digest)
    if (entry === undefined) return undefined
    if (nowMs < entry.untilMs) return entry.verdict
    this.#entries.delete(digest)
    return undefined
  }

  /** @param expiresMs when the token must not be found any more, at the latest */
  add(digest: string, verdict: V, expiresMs: number, nowMs: number): void {
    this.#entries.delete(digest)
    if (this.#entries.size >= this.#capacity) {
      const [first] = this.#entries.keys()
      if (first !== undefined) this.#entries.delete(first)
    }
    this.#entries.set(digest, { verdict, untilMs: Math.min(expiresMs, nowMs + MAX_AGE_MS) })
  }

  clear(): void {
    this.#entries.clear()
  }

  get size(): number {
    return this.#entries.size
  }
}
