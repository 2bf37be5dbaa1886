/** Writes records in the form of layout.ts, which the sink recognizes without parsing. */
import { UUID_BYTES } from '../canonical-bytes.ts'
import { type CanonicalEvent, type Field, FIELDS, METADATA, RECEIVED_AT } from '../fields.ts'
import { EventSlices } from './encode-fast.ts'
import { before, BEFORE_METADATA, BEFORE_RECEIVED_AT, END, EVENT_ID_AT, quote } from './layout.ts'
import type { Records } from './records.ts'

/** What stands before the value of each field, and after it. */
const AROUND = FIELDS.map((field: Field) => ({
  key: field.key,
  open: before(field),
  close: quote(field.kind),
}))

/**
 * Encodes events, in their order. The metadata are copied byte for byte. The result shares no memory with the request
 * body.
 *
 * @param receivedAtText the result of receivedAt()
 */
export function encodeRecords(events: readonly CanonicalEvent[], receivedAtText: string): Records {
  let size = 0
  const heads = events.map((event) => {
    const isSliced = event instanceof EventSlices
    const text = isSliced ? '' : head(event, receivedAtText)
    size += isSliced ? event.recordBytes : Buffer.byteLength(text) + event.metadata.length + 1
    return text
  })
  const bytes = Buffer.allocUnsafe(size)
  const middle = Buffer.concat([BEFORE_RECEIVED_AT, Buffer.from(receivedAtText), BEFORE_METADATA])
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
export function encodeRecord(event: CanonicalEvent, receivedAtText: string): Buffer {
  return encodeRecords([event], receivedAtText).bytes
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
function head(event: CanonicalEvent, receivedAtText: string): string {
  let text = ''
  for (let n = 0; n < METADATA; n++) {
    const { key, open, close } = AROUND[n]!
    const value = n === RECEIVED_AT ? receivedAtText : event[key as keyof CanonicalEvent]
    if (value !== undefined) text += `${open}${value as string}${close}`
  }
  return text + AROUND[METADATA]!.open
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
