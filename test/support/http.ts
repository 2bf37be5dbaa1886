import assert from 'node:assert/strict'
import { connect } from 'node:net'

/** A problem document (RFC 9457) of our API. */
export interface Problem {
  type: string
  title: string
  status: number
  detail: string
  errors?: { pointer: string; detail: string }[]
  event_ids?: string[]
  outcome?: string
}

/** Asserts that the response is a complete problem document of this kind, and returns it. */
export async function problemOf(response: Response, status: number, kind: string): Promise<Problem> {
  const text = await response.text()
  assert.equal(response.status, status, text)
  assert.equal(response.headers.get('content-type'), 'application/problem+json')
  assert.match(response.headers.get('x-request-id') ?? '', /./)
  const problem: Problem = JSON.parse(text)
  assert.equal(problem.type, `/problems/${kind}`)
  assert.equal(problem.status, status)
  assert.ok(problem.title.length > 0 && problem.detail.length > 0)
  return problem
}

/** Sends raw bytes and returns everything received until the server closes or `enough` matches. */
export function rawExchange(
  url: string,
  pieces: (string | Buffer)[],
  enough: (received: string) => boolean = () => false,
): Promise<string> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => {
      for (const piece of pieces) socket.write(piece)
    })
    let received = ''
    socket.setTimeout(20_000, () => socket.destroy(new Error(`the response does not end: ${received}`)))
    socket.on('error', reject)
    socket.on('close', () => resolve(received))
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1')
      if (enough(received)) socket.end()
    })
  })
}

/** The status and the problem of a raw response. */
export function rawProblem(answer: string): { status: number; head: string; problem: Problem } {
  const [head = '', body = ''] = answer.split('\r\n\r\n')
  assert.match(head, /content-type: application\/problem\+json/i)
  return { status: Number(head.split(' ')[1]), head, problem: JSON.parse(body) }
}
