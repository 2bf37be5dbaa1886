import { randomUUID } from 'node:crypto'

/** Printable ASCII that needs no quoting anywhere, and is short enough for a log line. */
const VALID_ID = /^[\w.:~+/=@-]{1,128}$/

/** The client's X-Request-Id if it is valid, otherwise a random UUID. */
export function requestId(sent: string | string[] | undefined): string {
  return typeof sent === 'string' && VALID_ID.test(sent) ? sent : randomUUID()
}
