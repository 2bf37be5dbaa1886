/** The source of time for tokens and the keys that they are checked with; tests replace it. */
export interface WallClock {
  /** Milliseconds since 1970. */
  now(): number
  /** Calls `callback` once after `ms`, without keeping the process alive. Returns a function that cancels it. */
  after(ms: number, callback: () => void): () => void
}

export const wallClock: WallClock = {
  now: () => Date.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms)
    timer.unref()
    return () => clearTimeout(timer)
  },
}
