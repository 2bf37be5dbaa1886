import { Framer } from '../../tools/drill/framer.ts'
import { type Link, type Passage, type Side, type Tap, TcpProxy } from '../../tools/drill/tcp-proxy.ts'

/** Type byte and length: https://www.postgresql.org/docs/18/protocol-message-formats.html */
const HEADER_BYTES = 5

/** What the connections of a proxy have seen, and what they watch for. */
interface Watch {
  seen: number
  text: string
}

/** A proxy before PostgreSQL that holds a connection before a statement, or before the answer to it. */
export class StatementProxy {
  readonly #proxy: TcpProxy
  readonly #watch: Watch

  private constructor(proxy: TcpProxy, watch: Watch) {
    this.#proxy = proxy
    this.#watch = watch
  }

  static async start(url: string): Promise<StatementProxy> {
    const { hostname, port } = new URL(url)
    const watch = { seen: 0, text: '' }
    const proxy = await TcpProxy.start({ host: hostname, port: Number(port) }, () => new StatementTap(watch))
    return new StatementProxy(proxy, watch)
  }

  /** The same database, through the proxy. */
  through(url: string): string {
    const through = new URL(url)
    through.port = String(this.#proxy.port)
    return through.href
  }

  /**
   * Holds the connection at a statement: the n-th of all from here, or the next one that contains a text.
   *
   * @throws the signal's reason
   */
  async holdAt(statement: number | string, when: 'before' | 'after', signal: AbortSignal): Promise<Link> {
    this.#watch.seen = 0
    this.#watch.text = String(statement)
    return await this.#proxy.holdAt(`${when} ${statement}`, signal)
  }

  async close(): Promise<void> {
    await this.#proxy.close()
  }
}

/** A statement begins with Query or Parse, and ends with ReadyForQuery. */
class StatementTap implements Tap {
  readonly client = undefined
  readonly #watch: Watch
  #isStarted = false
  /** The moments of the statement that runs, but for when. */
  #running: string[] = []
  readonly #framers: Record<Side, Framer> = {
    client: new Framer((bytes) => {
      const end = endOf(bytes, this.#isStarted ? 1 : 0)
      if (end !== undefined && bytes.length >= end) this.#isStarted = true
      return end
    }),
    server: new Framer((bytes) => endOf(bytes, 1)),
  }

  constructor(watch: Watch) {
    this.#watch = watch
  }

  see(from: Side, chunk: Buffer): Passage[] {
    return this.#framers[from]
      .push(chunk)
      .map((bytes) => ({ bytes, sightings: this.#sightings(from, bytes) }))
  }

  #sightings(from: Side, bytes: Buffer): Passage['sightings'] {
    const type = bytes.toString('latin1', 0, 1)
    if (from === 'client' && (type === 'Q' || type === 'P')) {
      const { text } = this.#watch
      this.#running = [String(++this.#watch.seen), ...(bytes.includes(text) ? [text] : [])]
      return this.#running.map((moment) => ({ moment: `before ${moment}`, hold: 'before' }))
    }
    if (from === 'server' && type === 'Z') {
      const ended = this.#running.splice(0)
      return ended.map((moment) => ({ moment: `after ${moment}`, hold: 'before' }))
    }
    return []
  }
}

/** Only the startup message has no type byte before its length. */
function endOf(bytes: Buffer, typeBytes: 0 | 1): number | undefined {
  return bytes.length < HEADER_BYTES ? undefined : typeBytes + bytes.readInt32BE(typeBytes)
}
