import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Signer } from './signer.ts'

/** An issuer's server, which publishes a JWKS; how it answers can be changed at any time. */
export class JwksServer {
  readonly url: URL
  /** How many requests have reached it. */
  asked = 0
  /** Of the keys that are published. */
  cacheControl = ''
  answer: (response: ServerResponse, request: IncomingMessage) => void = () => {}

  private constructor(port: number) {
    this.url = new URL(`http://127.0.0.1:${port}/keys?canary=hunter2`)
  }

  static async start(t: { after: (end: () => void) => void }, ...signers: Signer[]): Promise<JwksServer> {
    const server = createServer((request, response) => {
      jwks.asked += 1
      jwks.answer(response, request)
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const jwks = new JwksServer((server.address() as AddressInfo).port)
    t.after(() => {
      server.close()
      server.closeAllConnections()
    })
    jwks.publish(...signers)
    return jwks
  }

  /** Answers with the public keys of these. */
  publish(...signers: Signer[]): void {
    const keys = signers.map((signer) => signer.jwk)
    this.send(JSON.stringify({ keys }), { 'cache-control': this.cacheControl })
  }

  send(body: string, headers: Record<string, string> = {}, status = 200): void {
    this.answer = (response) => {
      response.writeHead(status, { 'content-type': 'application/json', ...headers })
      response.end(body)
    }
  }

  /** Cuts connections without an answer, as if nothing listened. */
  goDown(): void {
    this.answer = (response) => response.destroy()
  }
}
