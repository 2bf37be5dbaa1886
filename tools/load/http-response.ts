/** A whole HTTP/1.x response. */
export interface HttpResponse {
  status: number
  /** Status line and headers as received, each line terminated by CRLF. */
  head: string
  /** Body, decoded as UTF-8. */
  body: string
  /** Whether the connection is closed after this response. */
  closes: boolean
}

const HEAD_END = Buffer.from('\r\n\r\n')
const CRLF = Buffer.from('\r\n')
const MAX_HEAD_BYTES = 65_536
const MAX_RESPONSE_BYTES = 16 * 1024 * 1024

/** The bytes violate HTTP/1.1's grammar or this client's limits; the connection cannot be used any more. */
export class HttpResponseError extends Error {
  override name = 'HttpResponseError'
}

/**
 * Parses the responses of one connection, one request at a time, from chunks as they arrive.
 *
 * An incomplete response is kept and parsed again from its start when more arrives: nearly every response
 * comes in one chunk, and a parser without state between chunks is simple.
 */
export class ResponseParser {
  #pending: Buffer | undefined

  /**
   * Adds a chunk (which is copied if it must be kept) and returns the response if it is complete.
   *
   * @throws {HttpResponseError} if the bytes are not a response, are too many, or continue past its end
   */
  push(chunk: Buffer): HttpResponse | undefined {
    const bytes = this.#pending === undefined ? chunk : Buffer.concat([this.#pending, chunk])
    const read = readResponse(bytes, false)
    if (read === undefined) {
      if (bytes.length > MAX_RESPONSE_BYTES) throw new HttpResponseError('response too large')
      this.#pending = this.#pending === undefined ? Buffer.from(bytes) : bytes
      return undefined
    }
    if (read.end !== bytes.length) throw new HttpResponseError('bytes after the response')
    this.#pending = undefined
    return read.response
  }

  /** Call when the connection has ended: returns the response if its body is delimited by the end of the connection. */
  finish(): HttpResponse | undefined {
    const bytes = this.#pending
    this.#pending = undefined
    return bytes === undefined ? undefined : readResponse(bytes, true)?.response
  }
}

/** Value of a header, or undefined. `name` must be in lower case. */
export function headerOf(head: string, name: string): string | undefined {
  for (const line of head.split('\r\n')) {
    const colon = line.indexOf(':')
    if (colon === name.length && line.slice(0, colon).toLowerCase() === name)
      return line.slice(colon + 1).trim()
  }
  return undefined
}

interface Read {
  response: HttpResponse
  /** Offset of the end of the response. */
  end: number
}

function readResponse(bytes: Buffer, ended: boolean): Read | undefined {
  let start = 0
  for (;;) {
    const headEnd = bytes.indexOf(HEAD_END, start)
    if (headEnd === -1) {
      if (bytes.length - start > MAX_HEAD_BYTES) throw new HttpResponseError('headers too large')
      return undefined
    }
    const head = bytes.toString('latin1', start, headEnd + 2)
    const status = /^HTTP\/1\.[01] (\d{3})[ \r]/.exec(head)?.[1]
    if (status === undefined) throw new HttpResponseError('not an HTTP/1.x response')
    // 1xx responses (100 Continue, 103 Early Hints) precede the final one.
    if (!status.startsWith('1')) return readBody(bytes, headEnd + 4, Number(status), head, ended)
    start = headEnd + 4
  }
}

function readBody(
  bytes: Buffer,
  start: number,
  status: number,
  head: string,
  ended: boolean,
): Read | undefined {
  const closes = head.startsWith('HTTP/1.0') || /\r\nconnection:[ \t]*close/i.test(head)
  const length = /\r\ncontent-length:[ \t]*(\d+)[ \t]*\r\n/i.exec(head)?.[1]
  if (length !== undefined) {
    const end = start + Number(length)
    if (Number(length) > MAX_RESPONSE_BYTES) throw new HttpResponseError('response too large')
    if (end > bytes.length) return undefined
    return { response: { status, head, body: bytes.toString('utf8', start, end), closes }, end }
  }
  if (/\r\ntransfer-encoding:[ \t]*chunked/i.test(head)) {
    const chunked = readChunked(bytes, start)
    if (chunked === undefined) return undefined
    return { response: { status, head, body: chunked.body, closes }, end: chunked.end }
  }
  if (status === 204 || status === 304) return { response: { status, head, body: '', closes }, end: start }
  if (!ended) return undefined
  return { response: { status, head, body: bytes.toString('utf8', start), closes: true }, end: bytes.length }
}

function readChunked(bytes: Buffer, start: number): { body: string; end: number } | undefined {
  const parts: Buffer[] = []
  for (let at = start; ; ) {
    const lineEnd = bytes.indexOf(CRLF, at)
    if (lineEnd === -1) return undefined
    const size = /^([0-9a-f]{1,7})[ \t]*(?:;.*)?$/i.exec(bytes.toString('latin1', at, lineEnd))?.[1]
    if (size === undefined) throw new HttpResponseError('bad chunk size')
    const dataStart = lineEnd + 2
    const dataEnd = dataStart + Number.parseInt(size, 16)
    if (dataEnd === dataStart) {
      // The last chunk is followed by trailers, if any, and an empty line.
      const end = bytes.indexOf(HEAD_END, lineEnd)
      return end === -1 ? undefined : { body: Buffer.concat(parts).toString('utf8'), end: end + 4 }
    }
    if (dataEnd + 2 > bytes.length) return undefined
    if (bytes[dataEnd] !== 13 || bytes[dataEnd + 1] !== 10)
      throw new HttpResponseError('chunk without its CRLF')
    parts.push(bytes.subarray(dataStart, dataEnd))
    at = dataEnd + 2
  }
}
