import { randomUUID } from 'node:crypto'

/** Visible ASCII that needs no quoting anywhere, short enough for a log line. */
const SANE = /^[\w.:~+/=@-]{1,128}$/

/** The client's X-Request-Id when it is sane, else a new one. */
export function requestId(sent: string | string[] | undefined): string {
  return typeof sent === 'string' && SANE.test(sent) ? sent : randomUUID()
}
