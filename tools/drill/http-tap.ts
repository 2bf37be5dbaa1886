import type { Passage, Side, Tap } from './tcp-proxy.ts'

const ACCEPTED = 'HTTP/1.1 202'

/** Recognises a 202 of the API. Responses are small, so each starts a chunk. */
export class HttpTap implements Tap {
  readonly client = undefined

  see(from: Side, bytes: Buffer): Passage[] {
    const isAccepted = from === 'server' && bytes.toString('latin1', 0, ACCEPTED.length) === ACCEPTED
    return [{ bytes, sightings: isAccepted ? [{ moment: 'before_http_answer', hold: 'before' }] : [] }]
  }
}
