/** The lines that `npx firehose tail` prints. Pure: every function returns text that is safe for a terminal. */
import { decodeRecord } from '../../event/record/decode.ts'
import { textOf } from '../../event/record/row-texts.ts'
import type { TopicIdentity } from '../../event/record/decoded.ts'
import { JsonScan } from '../../event/json/scan-result.ts'
import { scanText } from '../../event/json/scan.ts'
import type { TopicRecord } from '../../kafka/topic-reader.ts'
import { escapeControls } from '../../platform/escape-controls.ts'

/** 2000-01-01T00:00:00Z, from which rows count microseconds, in milliseconds since 1970. */
const ROW_EPOCH_MS = 946_684_800_000

const scan = new JsonScan()

/** A record in one line. Only its metadata are shortened, so that the line has at most `width` characters. */
export function recordLine(record: TopicRecord, identity: TopicIdentity, width: number): string {
  const decoded = decodeRecord({ ...record, headers: {} }, identity, 'text')
  const place = `${record.partition}:${record.offset}`
  if (!decoded.ok) {
    return `${time(record.timestampMs)}  ${place}  ${escapeControls(`undecodable: ${decoded.dead.message}`)}`
  }
  const { eventId, userId, receivedAt, metadata } = decoded.row
  const who = escapeControls(String(userId ?? `(${textOf(decoded.row, 'anonymous_id')})`))
  const eventName = textOf(decoded.row, 'event_name')
  const what = eventName === undefined ? '' : `${escapeControls(eventName)}  `
  const receivedMs = ROW_EPOCH_MS + Number(BigInt(receivedAt) / 1_000n)
  const head = `${time(receivedMs)}  ${place}  ${eventId}  ${who}  ${what}`
  return head + shorten(escapeControls(metadata.toString()), Math.max(1, width - head.length))
}

/** What is wrong with a record, for the user of rawLine(); undefined if it is an event. */
export function undecodableText(record: TopicRecord, identity: TopicIdentity): string | undefined {
  const decoded = decodeRecord({ ...record, headers: {} }, identity, 'text')
  if (decoded.ok) return undefined
  return escapeControls(`${record.partition}:${record.offset} undecodable: ${decoded.dead.message}`)
}

/** The value of a record in one line, with the same meaning as JSON; undefined if it is not JSON. */
export function rawLine(value: Buffer | null): string | undefined {
  if (value === null || !scanText(value, 0, value.length, scan)) return undefined
  // A line break is white space between JSON tokens. Within strings, the other characters may be escaped.
  return escapeControls(value.toString().replaceAll(/[\t\r\n]/g, ' '))
}

function shorten(text: string, room: number): string {
  if (text.length <= room) return text
  return `${text.slice(0, room - 1).replace(/[\ud800-\udbff]$/, '')}…`
}

/** In UTC, to the second; a producer may have sent any number. */
function time(ms: number): string {
  const date = new Date(ms)
  return Number.isNaN(date.getTime()) ? String(ms) : `${date.toISOString().slice(0, 19)}Z`
}
