import { addressOf } from '../../tools/drill/stage.ts'
import { type Link, TcpProxy } from '../../tools/drill/tcp-proxy.ts'
import { type Point, StatementPoints } from './statement-points.ts'

/** What the connections of a proxy have seen, and what they watch for. */
interface Watch {
  /** Statements. */
  seen: number
  wanted: number | string
  point: Point
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
    const watch: Watch = { seen: 0, wanted: Infinity, point: 'before' }
    return new StatementProxy(await TcpProxy.start(addressOf(url), () => tapOf(watch)), watch)
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
    this.#watch.wanted = statement
    this.#watch.point = when === 'before' ? 'before' : 'done'
    return await this.#proxy.holdAt('wanted', signal)
  }

  async close(): Promise<void> {
    await this.#proxy.close()
  }
}

/** Of one connection. */
function tapOf(watch: Watch): StatementPoints {
  let isWanted = false
  return new StatementPoints((point, statement) => {
    if (point === 'before') {
      const { wanted } = watch
      watch.seen += 1
      isWanted = typeof wanted === 'number' ? watch.seen === wanted : statement.includes(wanted)
    }
    return isWanted && point === watch.point
  })
}
