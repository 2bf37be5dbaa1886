// Pure, and also imported by tools/k6/, which makes the events of a run once more to compare them with the stored rows:
// an event is determined by the run and its number. Other known events are made by tools/load/events.ts, which k6 cannot
// import: it has no Node modules, and its container sees only the folder k6/.

/** One run of a script. The same values give the same events. */
export interface Run {
  /** Milliseconds since 1970; the time part of event 0's id. */
  start_ms: number
  /** Less than 2^48; distinguishes runs started in the same millisecond. */
  random: number
}

/** Ids per millisecond: a 12-bit counter keeps them in order (RFC 9562, 6.2). */
const IDS_PER_MS = 4096

/** A new run, unless both values are given. */
export function newRun(start?: string, random?: string): Run {
  return {
    start_ms: start === undefined ? Date.now() : Number(start),
    random: random === undefined ? Math.floor(Math.random() * 2 ** 48) : Number(random),
  }
}

/** Creates the events of a run. Caches the strings shared by many events, which are expensive to build in k6. */
export class EventMaker {
  readonly #idTail: string
  readonly #startMs: number
  readonly #second: string
  #block = -1
  #idHead = ''

  constructor(run: Run) {
    this.#startMs = run.start_ms
    this.#idTail = `-8000-${run.random.toString(16).padStart(12, '0')}`
    this.#second = new Date(run.start_ms).toISOString().slice(0, 20)
  }

  /** The id of event `n`, a UUIDv7. Ids ascend with `n`, so that inserts go to the right end of the index. */
  id(n: number): string {
    const block = Math.floor(n / IDS_PER_MS)
    if (block !== this.#block) {
      const time = (this.#startMs + block).toString(16).padStart(12, '0')
      this.#idHead = `${time.slice(0, 8)}-${time.slice(8)}-`
      this.#block = block
    }
    return this.#idHead + (0x7000 + (n % IDS_PER_MS)).toString(16) + this.#idTail
  }

  /** Event `n` as JSON on one line, about 260 bytes. */
  body(n: number): string {
    // `.50` keeps its zero in jsonb but not in JavaScript: this detects a store that parses and re-serialises.
    return (
      `{"event_id":"${this.id(n)}","user_id":${(n * 48_271) % 2_147_483_647},"timestamp":"${this.#second}` +
      `${String(1_000_000 + (n % 1_000_000)).slice(1)}Z","metadata":{"n":${n},"page":"/shop/${n % 5000}",` +
      `"referrer":"https://www.example.com/search","price":${n % 100}.50,` +
      `"view":{"w":1280,"h":${n % 2000},"tags":["a",null,${n % 2 === 0}]}}}`
    )
  }
}
