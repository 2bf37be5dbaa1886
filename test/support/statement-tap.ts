import { Framer } from '../../tools/drill/framer.ts'
import { type Link, type Passage, type Side, type Tap, TcpProxy } from '../../tools/drill/tcp-proxy.ts'

/** Type byte and length: https://www.postgresql.org/docs/18/protocol-message-formats.html */
const HEADER_BYTES = 5

/** A proxy before PostgreSQL that holds a connection before the n-th statement of all, or before the answer to it. */
export class StatementProxy {
  readonly #proxy: TcpProxy
  readonly #count: { seen: number }

  private constructor(proxy: TcpProxy, count: { seen: number }) {
    this.#proxy = proxy
    this.#count = count
  }

  static async start(url: string): Promise<StatementProxy> {
    const { hostname, port } = new URL(url)
    const count = { seen: 0 }
    const proxy = await TcpProxy.start(
      { host: hostname, port: Number(port) },
      () => new StatementTap(() => ++count.seen),
    )
    return new StatementProxy(proxy, count)
  }

  /** The same database, through the proxy. */
  through(url: string): string {
    const through = new URL(url)
    through.port = String(this.#proxy.port)
    return through.href
  }

  /** Counts from here, and holds the connection at the statement. @throws the signal's reason */
  async holdAt(statement: number, when: 'before' | 'after', signal: AbortSignal): Promise<Link> {
    this.#count.seen = 0
    return await this.#proxy.holdAt(`${when} ${statement}`, signal)
  }

  async close(): Promise<void> {
    await this.#proxy.close()
  }
}

/** A statement begins with Query or Parse, and ends with ReadyForQuery. */
class StatementTap implements Tap {
  readonly client = undefined
  readonly #next: () => number
  #isStarted = false
  #running = 0
  readonly #framers: Record<Side, Framer> = {
    client: new Framer((bytes) => {
      const end = endOf(bytes, this.#isStarted ? 1 : 0)
      if (end !== undefined && bytes.length >= end) this.#isStarted = true
      return end
    }),
    server: new Framer((bytes) => endOf(bytes, 1)),
  }

  constructor(next: () => number) {
    this.#next = next
  }

  see(from: Side, chunk: Buffer): Passage[] {
    return this.#framers[from]
      .push(chunk)
      .map((bytes) => ({ bytes, sightings: this.#sightings(from, bytes) }))
  }

  #sightings(from: Side, bytes: Buffer): Passage['sightings'] {
    const type = bytes.toString('latin1', 0, 1)
    if (from === 'client' && (type === 'Q' || type === 'P')) {
      this.#running = this.#next()
      return [{ moment: `before ${this.#running}`, hold: 'before' }]
    }
    if (from === 'server' && type === 'Z' && this.#running > 0) {
      const moment = `after ${this.#running}`
      this.#running = 0
      return [{ moment, hold: 'before' }]
    }
    return []
  }
}

/** Only the startup message has no type byte before its length. */
function endOf(bytes: Buffer, typeBytes: 0 | 1): number | undefined {
  return bytes.length < HEADER_BYTES ? undefined : typeBytes + bytes.readInt32BE(typeBytes)
}
