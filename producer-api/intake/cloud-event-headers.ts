/** CloudEvents in binary mode: attributes in `ce-` headers, data in the body (HTTP binding of CloudEvents 1.0, section 3.1). */
import type { IncomingMessage } from 'node:http'
import { isUtf8 } from 'node:buffer'
import { unquoted } from '../http/quoted-list.ts'
import { ATTRIBUTES, DATA, SPECVERSION } from './cloud-event-attributes.ts'

const PREFIX = 'ce-'
const IN_HEADERS = [SPECVERSION, ...ATTRIBUTES.map(({ name }) => name).filter((name) => name !== DATA)]
const [OPEN, CLOSE, BEFORE_DATA] = [Buffer.from('{'), Buffer.from('}'), Buffer.from(`,"${DATA}":`)]
/** JSON that is no text of PostgreSQL, so that a value that is no UTF-8 is refused like one. */
const NOT_TEXT = String.raw`"\ud800"`

/** Whether the headers say that the body is the data of a CloudEvent. */
export function isInBinaryMode({ headers }: IncomingMessage): boolean {
  return headers[`${PREFIX}${SPECVERSION}`] !== undefined
}

/**
 * The CloudEvent of a request as JSON. A header that is there twice is there twice.
 *
 * @param data JSON text, which is copied; none if it is empty
 */
export function structuredFrom({ headersDistinct }: IncomingMessage, data: Buffer): Buffer {
  const attributes = IN_HEADERS.flatMap((name) =>
    (headersDistinct[PREFIX + name] ?? []).map((value) => `"${name}":${jsonOf(value)}`),
  )
  const before = data.length === 0 ? [] : [BEFORE_DATA, data]
  return Buffer.concat([OPEN, Buffer.from(attributes.join(',')), ...before, CLOSE])
}

/** The value of a header as JSON: without the quotes of older senders, and percent-decoded once. */
function jsonOf(value: string): string {
  // Node reads a header as Latin-1, also the UTF-8 of senders that do not encode it.
  const bytes = Buffer.from(
    unquoted(value).replaceAll(/%([0-9a-f]{2})/gi, (_, hex: string) =>
      String.fromCharCode(parseInt(hex, 16)),
    ),
    'latin1',
  )
  return isUtf8(bytes) ? JSON.stringify(bytes.toString()) : NOT_TEXT
}
