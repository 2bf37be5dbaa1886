import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { HttpPool } from '../../tools/load/http-client.ts'

/** Number of responses by status, and of errors where there was no response. */
export type Answers = Record<string, number>

/** A whole HTTP/1.1 request of ASCII text. */
export function httpRequest(path: string, body: string, headers: Record<string, string> = {}): string {
  const all = {
    Host: 'x',
    'Content-Type': 'application/json',
    'Content-Length': String(body.length),
    ...headers,
  }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return `POST ${path} HTTP/1.1\r\n${lines.join('')}\r\n${body}`
}

/**
 * A closed loop: on each connection, the next request is sent as soon as the previous one is answered.
 *
 * @param requests in turn
 * @param goOn checked before each request
 */
export async function hammer(
  url: string,
  connections: number,
  requests: readonly string[],
  goOn: (asked: number) => boolean,
): Promise<Answers> {
  const { hostname, port } = new URL(url)
  const pool = new HttpPool({ host: hostname, port: Number(port), connections, timeoutMs: 60_000 })
  const answers: Answers = {}
  let asked = 0
  const client = (): Promise<void> =>
    new Promise((resolve) => {
      const next = (): void => {
        if (!goOn(asked)) {
          resolve()
          return
        }
        const text = requests[asked++ % requests.length] ?? ''
        pool.submit({
          render: () => ({ text, encoding: 'latin1' }),
          done: (outcome) => {
            const key = outcome.kind === 'response' ? String(outcome.response.status) : outcome.code
            answers[key] = (answers[key] ?? 0) + 1
            next()
          },
        })
      }
      next()
    })
  try {
    await Promise.all(Array.from({ length: connections }, client))
  } finally {
    pool.close()
  }
  return answers
}

/** A connection that has sent some text, with access to what it has received. */
export async function sent(url: string, text: string): Promise<{ socket: Socket; received: () => string }> {
  const { port, hostname } = new URL(url)
  const socket = connect(Number(port), hostname)
  let received = ''
  socket.on('error', () => {})
  socket.on('data', (chunk) => {
    received += chunk.toString('latin1')
  })
  await once(socket, 'connect')
  socket.write(text)
  return { socket, received: () => received }
}

/** Longer than any timeout of the API in a test, even on a slow machine. */
const LONGEST_MS = 60_000

/** Resolves when the connection has been closed for any reason; rejects after LONGEST_MS. */
export const closed = (socket: Socket): Promise<void> =>
  new Promise((resolve, reject) => {
    if (socket.closed) return resolve()
    const limit = setTimeout(() => reject(new Error('the connection does not end')), LONGEST_MS)
    socket.once('close', () => {
      clearTimeout(limit)
      resolve()
    })
  })
