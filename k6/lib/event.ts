// Pure: the runner's unit tests import it as well. What an event holds follows from the run and its number alone, by
// integer arithmetic that SQL can repeat: tools/k6/k6-sql.ts does, to compare what is stored.

/** One run of a script. Two runs with the same values make the same events. */
export interface Run {
  /** Milliseconds since 1970; the time part of event 0's id. */
  start_ms: number
  /** Below 2^48; tells apart runs that started in the same millisecond. */
  random: number
}

/** Event ids that share one millisecond: a 12-bit counter keeps them in order (RFC 9562, 6.2). */
const IDS_PER_MS = 4096

/** A new run, unless both values are given. */
export function newRun(start?: string, random?: string): Run {
  return {
    start_ms: start === undefined ? Date.now() : Number(start),
    random: random === undefined ? Math.floor(Math.random() * 2 ** 48) : Number(random),
  }
}

/** What makes the events of a run. It remembers the texts that many events share: they are dear to make in k6. */
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

  /** The id of event `n`: UUIDv7. Ids ascend with `n`, so that inserts stay at the right end of the index. */
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
    // `.50` keeps its zero in jsonb but not in JavaScript: a store that parses and prints again is found out.
    return (
      `{"event_id":"${this.id(n)}","user_id":${(n * 48_271) % 2_147_483_647},"timestamp":"${this.#second}` +
      `${String(1_000_000 + (n % 1_000_000)).slice(1)}Z","metadata":{"n":${n},"page":"/shop/${n % 5000}",` +
      `"referrer":"https://www.example.com/search","price":${n % 100}.50,` +
      `"view":{"w":1280,"h":${n % 2000},"tags":["a",null,${n % 2 === 0}]}}}`
    )
  }
}
