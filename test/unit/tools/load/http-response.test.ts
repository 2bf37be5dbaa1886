import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import {
  headerOf,
  type HttpResponse,
  HttpResponseError,
  ResponseParser,
} from '../../../../tools/load/http-response.ts'

interface Wire {
  bytes: Buffer
  status: number
  body: string
}

const bodyText = fc.oneof(fc.string({ unit: 'binary', maxLength: 300 }), fc.constant('{"status":"accepted"}'))

const framed: fc.Arbitrary<Wire> = fc
  .record({
    status: fc.constantFrom(200, 202, 422, 503),
    body: bodyText,
    chunkSizes: fc.option(fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 })),
    interim: fc.boolean(),
    trailer: fc.boolean(),
    lengthName: fc.constantFrom('Content-Length', 'content-length'),
  })
  .map(({ status, body, chunkSizes, interim, trailer, lengthName }) => {
    const head = `${interim ? 'HTTP/1.1 100 Continue\r\n\r\n' : ''}HTTP/1.1 ${status} Why Not\r\nRetry-After: 3\r\n`
    const content = Buffer.from(body)
    if (chunkSizes === null) {
      const bytes = Buffer.concat([Buffer.from(`${head}${lengthName}: ${content.length}\r\n\r\n`), content])
      return { bytes, status, body: content.toString() }
    }
    const parts = [Buffer.from(`${head}Transfer-Encoding: chunked\r\n\r\n`)]
    for (let at = 0, i = 0; at < content.length; i += 1) {
      const part = content.subarray(at, at + (chunkSizes[i % chunkSizes.length] ?? 1))
      parts.push(Buffer.from(`${part.length.toString(16)};x=y\r\n`), part, Buffer.from('\r\n'))
      at += part.length
    }
    parts.push(Buffer.from(trailer ? '0\r\nX-Sum: 1\r\n\r\n' : '0\r\n\r\n'))
    return { bytes: Buffer.concat(parts), status, body: content.toString() }
  })

test('consecutive responses on a connection are parsed completely, however the bytes are split', () => {
  fc.assert(
    fc.property(fc.array(framed, { minLength: 1, maxLength: 3 }), fc.array(fc.nat()), (wires, cuts) => {
      const parser = new ResponseParser()
      for (const wire of wires) {
        const response = pushInPieces(parser, wire.bytes, cuts)
        assert.equal(response?.status, wire.status)
        assert.equal(response.body, wire.body)
        assert.equal(response.closes, false)
        assert.equal(headerOf(response.head, 'retry-after'), '3')
      }
    }),
  )
})

/** Pushes chunks through one reused buffer, as the client does, so the parser must copy what it keeps. */
function pushInPieces(parser: ResponseParser, bytes: Buffer, cuts: number[]): HttpResponse | undefined {
  const bounds = [...cuts.map((cut) => cut % bytes.length), bytes.length].toSorted((a, b) => a - b)
  const shared = Buffer.alloc(bytes.length)
  let start = 0
  for (const end of bounds) {
    if (end === start) continue
    bytes.copy(shared, 0, start, end)
    const response = parser.push(shared.subarray(0, end - start))
    shared.fill(0)
    start = end
    if (response !== undefined) {
      assert.equal(end, bytes.length, 'a response before its last byte')
      return response
    }
  }
  return undefined
}

test('a body without a length lasts until the connection ends', () => {
  const parser = new ResponseParser()
  assert.equal(parser.push(Buffer.from('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\nno')), undefined)
  assert.deepEqual(parser.finish(), {
    status: 400,
    head: 'HTTP/1.1 400 Bad Request\r\nConnection: close\r\n',
    body: 'no',
    closes: true,
  })
  parser.push(Buffer.from('HTTP/1.1 202 Accepted\r\nContent-Length: 5\r\n\r\nhal'))
  assert.equal(parser.finish(), undefined, 'a truncated body is not a response')
})

for (const [what, text] of [
  ['another protocol', 'SSH-2.0-x\r\n\r\n'],
  ['a bad chunk size', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n'],
  ['bytes after the response', 'HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab'],
] as const) {
  test(`${what} is rejected`, () => {
    assert.throws(() => new ResponseParser().push(Buffer.from(text)), HttpResponseError)
  })
}
