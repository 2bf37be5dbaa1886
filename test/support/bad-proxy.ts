import { once } from 'node:events'
import { createServer, type IncomingMessage, request, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { buffer } from 'node:stream/consumers'

/** What happens to one request: whether the API gets it, and what the client gets. */
export interface Step {
  forwards: boolean
  /** `drop`: a closed connection. `hang`: the head of an answer, and never its body. */
  answer: 'of the API' | 'drop' | 'hang' | { status: number; retryAfter?: string }
}

const PASS: Step = { forwards: true, answer: 'of the API' }

/** An HTTP proxy before the API that does to each request what its script says, and forwards all after that. */
export class BadProxy {
  readonly requests: { body: string; atMs: number }[] = []
  readonly #server: Server
  readonly #target: string
  readonly #script: Step[]

  private constructor(target: string, script: Step[]) {
    this.#target = target
    this.#script = [...script]
    this.#server = createServer((incoming, response) => {
      this.#handle(incoming, response).catch((error: Error) => response.destroy(error))
    })
  }

  static async start(target: string, ...script: Step[]): Promise<BadProxy> {
    const proxy = new BadProxy(target, script)
    proxy.#server.listen(0, '127.0.0.1')
    await once(proxy.#server, 'listening')
    return proxy
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  close(): void {
    this.#server.close()
    this.#server.closeAllConnections()
  }

  async #handle(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await buffer(incoming)
    this.requests.push({ body: body.toString(), atMs: performance.now() })
    const { forwards, answer } = this.#script.shift() ?? PASS
    const forwarded = forwards ? await this.#forward(incoming, body) : undefined
    if (answer === 'drop') response.destroy()
    else if (answer === 'hang') response.writeHead(202, { 'Content-Type': 'application/json' }).flushHeaders()
    else if (answer !== 'of the API') {
      const { status, retryAfter } = answer
      response.writeHead(status, retryAfter === undefined ? {} : { 'Retry-After': retryAfter }).end('not now')
    } else if (forwarded !== undefined) {
      response.writeHead(forwarded.statusCode ?? 0, forwarded.headers)
      forwarded.pipe(response)
    }
  }

  /** With all headers of the client as they are. */
  async #forward({ method, url, headers }: IncomingMessage, body: Buffer): Promise<IncomingMessage> {
    const forwarding = request(new URL(url ?? '/', this.#target), { method, headers, agent: false })
    forwarding.end(body)
    const [answer] = (await once(forwarding, 'response')) as [IncomingMessage]
    return answer
  }
}
