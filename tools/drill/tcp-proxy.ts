import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

export type Side = 'client' | 'server'

/** A moment of a protocol, and whether to hold the connection before or after its message. */
export interface Sighting {
  moment: string
  hold: 'before' | 'after'
}

/** Bytes forwarded together, with the moments that they mark. */
export interface Passage {
  bytes: Buffer
  sightings: readonly Sighting[]
}

/** Understands the protocol of one connection. */
export interface Tap {
  /** The client id, once it is known. */
  readonly client?: string | undefined
  see(from: Side, chunk: Buffer): Passage[]
}

/** Parses nothing: for delays and cuts. */
class PlainTap implements Tap {
  see(_from: Side, chunk: Buffer): Passage[] {
    return [{ bytes: chunk, sightings: [] }]
  }
}

interface Trap {
  moment: string
  sprung: (link: Link) => void
}

/**
 * A proxy on 127.0.0.1 that can break, hold and delay connections and drop their data, so that client and server need no
 * test hooks. Without TLS.
 */
export class TcpProxy {
  readonly #server: Server
  readonly #target: { host: string; port: number }
  readonly #makeTap: () => Tap
  readonly #links = new Set<Link>()
  #trap: Trap | undefined

  private constructor(target: { host: string; port: number }, makeTap: () => Tap) {
    this.#target = target
    this.#makeTap = makeTap
    this.#server = createServer((client) => this.#accept(client))
  }

  /** Listens on a free port. The target need not listen yet. */
  static async start(
    target: { host: string; port: number },
    makeTap: () => Tap = () => new PlainTap(),
  ): Promise<TcpProxy> {
    const proxy = new TcpProxy(target, makeTap)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** Open connections. @param client prefix of the client id */
  links(client = ''): Link[] {
    return [...this.#links].filter((link) => link.client.startsWith(client))
  }

  /**
   * Sets a trap: resolves when a connection reaches the moment, and holds it there. One trap at a time, for one moment.
   *
   * @throws the signal's reason; the trap is then removed
   */
  async holdAt(moment: string, signal: AbortSignal): Promise<Link> {
    if (this.#trap !== undefined) throw new Error(`a trap for ${this.#trap.moment} is already set`)
    const { promise, resolve, reject } = Promise.withResolvers<Link>()
    const trap = { moment, sprung: resolve }
    const onAbort = () => reject(signal.reason as Error)
    signal.addEventListener('abort', onAbort, { once: true })
    this.#trap = trap
    try {
      return await promise
    } finally {
      signal.removeEventListener('abort', onAbort)
      if (this.#trap === trap) this.#trap = undefined
    }
  }

  async close(): Promise<void> {
    this.#server.close()
    for (const link of this.#links) link.cut()
    await once(this.#server, 'close')
  }

  #accept(client: Socket): void {
    const link = new Link({
      client,
      server: connect(this.#target),
      tap: this.#makeTap(),
      onSight: ({ moment }) => {
        const trap = this.#trap
        if (trap?.moment !== moment) return false
        this.#trap = undefined
        trap.sprung(link)
        return true
      },
      onClose: () => this.#links.delete(link),
    })
    this.#links.add(link)
  }
}

interface LinkParts {
  client: Socket
  server: Socket
  tap: Tap
  /** @returns whether to hold the link here */
  onSight: (sighting: Sighting) => boolean
  onClose: () => void
}

/** The connections of one client to the proxy and of the proxy to the server. Owns the held and delayed data. */
export class Link {
  readonly #parts: LinkParts
  #isHeld = false
  readonly #held: [from: Side, deliver: () => void][] = []
  /** Delayed data in each direction, in order, and when the last is due. */
  readonly #late: Record<Side, { queue: (() => void)[]; dueMs: number }> = {
    client: { queue: [], dueMs: 0 },
    server: { queue: [], dueMs: 0 },
  }
  /** Delay for new chunks; 0 for none. */
  delayMs = 0
  /** Messages held back since the last hold(). */
  heldMessages = 0
  /** Chunks delayed so far. */
  delayedChunks = 0
  /** Sides that have closed the connection. */
  readonly closed = new Set<Side>()

  constructor(parts: LinkParts) {
    this.#parts = parts
    parts.client.setNoDelay(true)
    parts.server.setNoDelay(true)
    this.#join('client', parts.client, parts.server)
    this.#join('server', parts.server, parts.client)
  }

  get client(): string {
    return this.#parts.tap.client ?? ''
  }

  /** The source port of the connection to the server. */
  get outgoingPort(): number | undefined {
    return this.#parts.server.localPort
  }

  /** Makes the connection half-open: both sides stay open, and neither receives data or the other's close. */
  hold(): void {
    if (!this.#isHeld) this.heldMessages = 0
    this.#isHeld = true
  }

  /** Ends hold(): the held data are delivered now. */
  release(): void {
    this.#isHeld = false
    for (const [from, deliver] of this.#held.splice(0)) this.#later(from, deliver)
  }

  /** Breaks the connection on both sides; held data are lost. */
  cut(): void {
    this.#held.length = 0
    this.#isHeld = false
    this.#parts.client.destroy()
    this.#parts.server.destroy()
  }

  #join(from: Side, source: Socket, target: Socket): void {
    const { tap, onClose } = this.#parts
    source.on('data', (chunk: Buffer) => {
      for (const passage of tap.see(from, chunk)) this.#pass(from, passage, target)
      if (target.writableNeedDrain) source.pause()
    })
    target.on('drain', () => source.resume())
    source.on('error', () => {}) // `close` follows
    source.on('close', () => {
      this.closed.add(from)
      if (this.closed.size === 2) onClose()
      const end = () => target.destroy()
      if (this.#isHeld) this.#held.push([from, end])
      else this.#later(from, end)
    })
  }

  #pass(from: Side, { bytes, sightings }: Passage, target: Socket): void {
    const springs = (hold: 'before' | 'after') =>
      sightings.some((seen) => seen.hold === hold && this.#parts.onSight(seen))
    if (springs('before')) this.hold()
    if (this.#isHeld) {
      this.heldMessages += 1
      this.#held.push([from, () => target.write(bytes)])
    } else this.#later(from, () => target.write(bytes))
    if (springs('after')) this.hold()
  }

  /** Delivers after the delay, and in the order of this direction. */
  #later(from: Side, deliver: () => void): void {
    const late = this.#late[from]
    if (this.delayMs === 0 && late.queue.length === 0) {
      deliver()
      return
    }
    if (this.delayMs > 0) this.delayedChunks += 1
    const nowMs = performance.now()
    late.dueMs = Math.max(nowMs + this.delayMs, late.dueMs)
    late.queue.push(deliver)
    setTimeout(() => late.queue.shift()?.(), late.dueMs - nowMs) // whichever timer fires, the first in the queue is delivered
  }
}
