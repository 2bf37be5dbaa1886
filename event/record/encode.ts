/** Writes records in the form of layout.ts, which the sink recognizes without parsing. */
import { UUID_BYTES } from '../canonical-bytes.ts'
import {
  type CanonicalEvent,
  type Field,
  FIELDS,
  IP_ADDRESS,
  KEY_LABEL,
  METADATA,
  RECEIVED_AT,
  USER_AGENT,
} from '../fields.ts'
import { EventSlices } from './encode-fast.ts'
import { before, END, EVENT_ID_AT, quote } from './layout.ts'
import type { Records } from './records.ts'

/** What stands before the value of each field, and after it. */
const AROUND = FIELDS.map((field: Field) => ({
  key: field.key as keyof CanonicalEvent,
  open: before(field),
  close: quote(field.kind),
}))
const SENT = AROUND.slice(0, RECEIVED_AT)

/** What the API knows of the client. */
export interface ClientFacts {
  /** The label of its key, which needs no escaping in JSON. */
  readonly keyLabel?: string | undefined
  /** An IP address or a network, as PostgreSQL's inet reads it. */
  readonly ipAddress?: string | undefined
  /** Any text of 1 to USER_AGENT_CHARACTERS characters without NUL. */
  readonly userAgent?: string | undefined
}

/**
 * Encodes events, in their order. The metadata are copied byte for byte. The result shares no memory with the request
 * body.
 *
 * @param receivedAtText the result of receivedAt()
 */
export function encodeRecords(
  events: readonly CanonicalEvent[],
  receivedAtText: string,
  facts: ClientFacts = {},
): Records {
  const setText = setByApi(receivedAtText, facts)
  // With the quote that ends the last value that was sent.
  const middle = Buffer.from(quote(FIELDS[RECEIVED_AT]!.kind) + setText)
  let size = 0
  const heads = events.map((event) => {
    if (event instanceof EventSlices) {
      size += event.sentBytes + middle.length
      return ''
    }
    const text = head(event, setText)
    size += Buffer.byteLength(text) + event.metadata.length + 1
    return text
  })
  const bytes = Buffer.allocUnsafe(size)
  let at = 0
  const ends = events.map((event, n) => {
    if (event instanceof EventSlices) at = event.writeRecord(bytes, at, middle)
    else {
      at += bytes.write(heads[n]!, at)
      at += event.metadata.copy(bytes, at)
      bytes[at++] = END
    }
    return at
  })
  return { bytes, ends }
}

/** Encodes one event; see encodeRecords(). */
export function encodeRecord(event: CanonicalEvent, receivedAtText: string, facts?: ClientFacts): Buffer {
  return encodeRecords([event], receivedAtText, facts).bytes
}

/** The ids in records made by encodeRecords(), as JSON array elements without the brackets. */
export function eventIdsJson({ bytes, ends }: Records): string {
  const json = Buffer.allocUnsafe(ends.length * (UUID_BYTES + 3))
  let start = 0
  let at = 0
  for (const end of ends) {
    for (let i = start + EVENT_ID_AT - 1; i <= start + EVENT_ID_AT + UUID_BYTES; i++) json[at++] = bytes[i]!
    json[at++] = 0x2c
    start = end
  }
  return json.toString('latin1', 0, at - 1)
}

/** The record up to the value of metadata, which is last. */
function head(event: CanonicalEvent, setText: string): string {
  let text = ''
  for (const { key, open, close } of SENT) {
    const value = event[key]
    if (value !== undefined) text += `${open}${value as string}${close}`
  }
  return text + setText
}

/** The record from the name of received_at up to the value of metadata. */
function setByApi(receivedAtText: string, { keyLabel, ipAddress, userAgent }: ClientFacts): string {
  let text = around(RECEIVED_AT, receivedAtText)
  if (keyLabel !== undefined) text += around(KEY_LABEL, keyLabel)
  if (ipAddress !== undefined) text += around(IP_ADDRESS, ipAddress)
  if (userAgent !== undefined) text += around(USER_AGENT, JSON.stringify(userAgent).slice(1, -1))
  return text + AROUND[METADATA]!.open
}

/** The record of these canonical values, in the order of the table, whoever set them. */
export function encodeValues(canonical: readonly (string | Buffer | undefined)[]): Buffer {
  let text = ''
  for (let n = 0; n < METADATA; n++) if (canonical[n] !== undefined) text += around(n, String(canonical[n]))
  return Buffer.concat([
    Buffer.from(text + AROUND[METADATA]!.open),
    canonical[METADATA] as Buffer,
    Buffer.of(END),
  ])
}

function around(field: number, value: string): string {
  return AROUND[field]!.open + value + AROUND[field]!.close
}

let lastMillisecond = -1
let lastText = ''

/** The canonical timestamp text of `epochMilliseconds`. Cached: on a busy server, many events share a millisecond. */
export function receivedAt(epochMilliseconds: number): string {
  if (epochMilliseconds !== lastMillisecond) {
    lastMillisecond = epochMilliseconds
    lastText = `${new Date(epochMilliseconds).toISOString().slice(0, 23)}000Z`
  }
  return lastText
}
