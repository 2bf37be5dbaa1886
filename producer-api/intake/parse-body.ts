/** Parses a request body into events, or into a list of all its faults. No I/O. */
import { JsonScan } from '../../event/json/scan-result.ts'
import { scanText, scanValue } from '../../event/json/scan.ts'
import { skipSpace } from '../../event/json/tokens.ts'
import { invalidUtf8Offset, skipByteOrderMark } from '../../event/json/utf8.ts'
import { type EventForm, OWN_FORM } from './event-form.ts'
import { eventList, type ParsedEvents, type ParseOptions, refusalOf } from './event-list.ts'
import {
  byteAt,
  invalid,
  invalidBatch,
  lineAt,
  notJson,
  notJsonAt,
  notUtf8,
  type ParseFault,
} from './parse-faults.ts'

const scan = new JsonScan()

/** Parses the body of `POST /event`: one event. */
export function parseEvent(body: Buffer, options: ParseOptions, form: EventForm = OWN_FORM): ParsedEvents {
  if (!scanText(body, 0, body.length, scan)) return notJson(scan)
  const refusal = refusalOf('The event', body, scan, options, form)
  if (refusal !== undefined) return refusal
  const event = form.read(body, scan, options)
  return event === undefined ? invalid(form.faults(body, scan, '', options)) : { ok: true, events: [event] }
}

/** Parses a body of `POST /events` that is one event: a batch of one. */
export function parseSingleBatch(body: Buffer, options: ParseOptions, form: EventForm): ParsedEvents {
  if (!scanText(body, 0, body.length, scan)) return notJson(scan)
  const batch = eventList(body, scan, options, form)
  batch.add()
  return batch.result()
}

/** Passes on a body that is one value of JSON, without what is around it; nothing of an empty one. */
export function parseData(body: Buffer, parse: (data: Buffer) => ParsedEvents): ParsedEvents {
  if (body.length === 0) return parse(body)
  if (!scanText(body, 0, body.length, scan)) return notJson(scan)
  return parse(body.subarray(scan.start, scan.end))
}

/** Parses the body of `POST /events` as application/json: an array of events. */
export function parseEventArray(
  body: Buffer,
  options: ParseOptions,
  form: EventForm = OWN_FORM,
): ParsedEvents {
  const utf8Fault = invalidUtf8Offset(body)
  if (utf8Fault >= 0) return notUtf8(byteAt(utf8Fault))
  const end = body.length
  let pos = skipSpace(body, skipByteOrderMark(body, 0, end), end)
  if (body[pos] !== 0x5b) return notAnArray(body)
  pos = skipSpace(body, pos + 1, end)
  const batch = eventList(body, scan, options, form)
  let closed = body[pos] === 0x5d
  if (closed) pos++
  while (!closed) {
    if (!scanValue(body, pos, end, scan)) return notJson(scan)
    batch.add()
    pos = skipSpace(body, scan.end, end)
    if (pos === end) return notJsonAt(byteAt(pos), 'the text ends too early')
    closed = body[pos] === 0x5d
    if (!closed && body[pos] !== 0x2c) return notJsonAt(byteAt(pos), 'expected , or ]')
    pos++
  }
  pos = skipSpace(body, pos, end)
  return pos < end ? notJsonAt(byteAt(pos), 'expected the end of the text') : batch.result()
}

/** Parses the body of `POST /events` as application/x-ndjson: one event per line. Blank lines are ignored. */
export function parseEventLines(body: Buffer, options: ParseOptions): ParsedEvents {
  const utf8Fault = invalidUtf8Offset(body)
  if (utf8Fault >= 0) return notUtf8(lineAt(body, utf8Fault))
  const batch = eventList(body, scan, options, OWN_FORM)
  const start = skipByteOrderMark(body, 0, body.length)
  let lineEnd = start
  for (let pos = start; pos < body.length; pos = lineEnd + 1) {
    const newline = body.indexOf(0x0a, pos)
    lineEnd = newline < 0 ? body.length : newline
    // skipSpace() also skips the carriage return of a CRLF.
    if (skipSpace(body, pos, lineEnd) === lineEnd) continue
    if (isOneValue(body, pos, lineEnd)) batch.add()
    else {
      const refused = batch.addFault(() => notJson(scan, lineAt(body, scan.errorOffset)))
      if (refused !== undefined) return refused
    }
  }
  return batch.result()
}

/** Whether a line is one JSON value, with or without white space around it; if not, the scan says why. */
function isOneValue(body: Buffer, pos: number, lineEnd: number): boolean {
  if (!scanValue(body, pos, lineEnd, scan)) return false
  const rest = skipSpace(body, scan.end, lineEnd)
  if (rest === lineEnd) return true
  scan.fail(rest, 'expected the end of the line')
  return false
}

/** The fault of a batch that does not begin with `[`: not JSON, or not an array. */
function notAnArray(body: Buffer): ParseFault {
  if (!scanText(body, 0, body.length, scan)) return notJson(scan)
  return invalidBatch('A batch must be a JSON array of events; send a single event to POST /event.')
}
