/** Parses a request body into events, or into a list of all its faults. No I/O. */
import { JsonScan } from '../../event/json/scan-result.ts'
import { skipSpace } from '../../event/json/tokens.ts'
import { MAX_BATCH_EVENTS, MAX_EVENT_BYTES, MAX_FAULTS, POINTER_BUDGET } from '../../event/limits.ts'
import { scanText, scanValue } from '../../event/json/scan.ts'
import type { CanonicalEvent } from '../../event/fields.ts'
import { invalidUtf8Offset, skipByteOrderMark } from '../../event/json/utf8.ts'
import { canonicalEvent, type EventOptions } from './validate.ts'
import { eventFaults } from './explain-faults.ts'
import { sliceEvent } from '../../event/record/encode-fast.ts'
import type { ProblemError } from '../http/problem.ts'

/** A refused body: the arguments for problem(), and the status of that problem. */
type ParseFault =
  | { ok: false; status: 400; problem: 'not-json' | 'not-utf8'; detail: string; errors?: never }
  | { ok: false; status: 413; problem: 'too-large'; detail: string; errors?: never }
  | { ok: false; status: 422; problem: 'invalid-event'; detail: string; errors: ProblemError[] }

/** A refused body. `count`: its events, if it could be read to its end. */
type Refused = ParseFault & { count?: number }

/** At least one event, in the order of the body. The metadata are views of the body. */
export type ParsedEvents = { ok: true; events: CanonicalEvent[] } | Refused

export interface ParseOptions extends EventOptions {
  /** Default MAX_EVENT_BYTES. */
  maxEventBytes?: number
}

const scan = new JsonScan()

/** Parses the body of `POST /event`: one event. */
export function parseEvent(body: Buffer, options: ParseOptions): ParsedEvents {
  if (!scanText(body, 0, body.length, scan)) return notJson()
  const event = scan.end - scan.start > maxBytes(options) ? undefined : acceptedEvent(body, options)
  if (event !== undefined) return { ok: true, events: [event] }
  return tooLarge('The event', options) ?? invalid(eventFaults(body, scan, '', options.userIdType))
}

/** Parses the body of `POST /events` as application/json: an array of events. */
export function parseEventArray(body: Buffer, options: ParseOptions): ParsedEvents {
  const utf8Fault = invalidUtf8Offset(body)
  if (utf8Fault >= 0) return notUtf8(byteAt(utf8Fault))
  const end = body.length
  let pos = skipSpace(body, skipByteOrderMark(body, 0, end), end)
  if (body[pos] !== 0x5b) return notAnArray(body)
  pos = skipSpace(body, pos + 1, end)
  const batch = new EventList(body, options)
  let closed = body[pos] === 0x5d
  if (closed) pos++
  while (!closed) {
    if (!scanValue(body, pos, end, scan)) return notJson()
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
  const batch = new EventList(body, options)
  const start = skipByteOrderMark(body, 0, body.length)
  let lineEnd = start
  for (let pos = start; pos < body.length; pos = lineEnd + 1) {
    const newline = body.indexOf(0x0a, pos)
    lineEnd = newline < 0 ? body.length : newline
    // skipSpace() also skips the carriage return of a CRLF.
    if (skipSpace(body, pos, lineEnd) === lineEnd) continue
    if (!scanValue(body, pos, lineEnd, scan)) return notJson(lineAt(body, scan.errorOffset))
    batch.add()
    const rest = skipSpace(body, scan.end, lineEnd)
    if (rest < lineEnd) return notJsonAt(lineAt(body, rest), 'expected the end of the line')
  }
  return batch.result()
}

/** Collects the scanned values of a body: events until the first fault, then only faults. */
class EventList {
  readonly #body: Buffer
  readonly #options: ParseOptions
  readonly #events: CanonicalEvent[] = []
  readonly #errors: ProblemError[] = []
  #count = 0
  #faulty = 0
  #tooLarge: ParseFault | undefined

  constructor(body: Buffer, options: ParseOptions) {
    this.#body = body
    this.#options = options
  }

  /** Adds the value in `scan`. Above a limit values are only counted: the rest of the body must still be valid JSON. */
  add(): void {
    const index = this.#count++
    if (index >= MAX_BATCH_EVENTS || this.#tooLarge !== undefined) return
    this.#tooLarge = tooLarge(`Event ${index}`, this.#options)
    if (this.#tooLarge !== undefined) return
    if (this.#faulty === 0) {
      const event = acceptedEvent(this.#body, this.#options)
      if (event !== undefined) {
        this.#events.push(event)
        return
      }
    }
    if (this.#errors.length >= MAX_FAULTS) return
    const faults = eventFaults(this.#body, scan, `/${index}`, this.#options.userIdType)
    if (faults.length > 0) this.#faulty++
    this.#errors.push(...faults)
  }

  result(): ParsedEvents {
    if (this.#count === 0 || this.#count > MAX_BATCH_EVENTS) {
      const detail = `A batch must have 1 to ${MAX_BATCH_EVENTS} events; this one has ${this.#count}.`
      return { ...invalidBatch(detail), count: this.#count }
    }
    if (this.#tooLarge !== undefined) return { ...this.#tooLarge, count: this.#count }
    if (this.#faulty > 0) return { ...invalid(this.#errors), count: this.#count }
    return { ok: true, events: this.#events }
  }
}

/** The event in `scan`, or undefined if it has any fault. */
function acceptedEvent(body: Buffer, options: ParseOptions): CanonicalEvent | undefined {
  return sliceEvent(body, scan, options.userIdType) ?? canonicalEvent(body, scan, options)
}

function maxBytes(options: ParseOptions): number {
  return options.maxEventBytes ?? MAX_EVENT_BYTES
}

function tooLarge(subject: string, options: ParseOptions): ParseFault | undefined {
  const bytes = scan.end - scan.start
  const limit = maxBytes(options)
  if (bytes <= limit) return undefined
  const detail = `${subject} must be at most ${limit} bytes long; it has ${bytes}.`
  return { ok: false, status: 413, problem: 'too-large', detail }
}

function invalid(errors: ProblemError[]): ParseFault {
  const listed = withinBudget(errors.slice(0, MAX_FAULTS))
  const count = errors.length === 1 ? 'one fault' : `${listed.length} faults`
  const more = errors.length >= MAX_FAULTS || listed.length < errors.length ? ' There may be more.' : ''
  const detail = `Nothing was accepted because of ${count}, listed in errors.${more}`
  return { ok: false, status: 422, problem: 'invalid-event', detail, errors: listed }
}

/** The first errors whose pointers have at most POINTER_BUDGET characters in total. */
function withinBudget(errors: readonly ProblemError[]): ProblemError[] {
  let spent = 0
  const short = errors.map((error) => ({ ...error, pointer: shortened(error.pointer) }))
  const past = short.findIndex(({ pointer }) => (spent += pointer.length) > POINTER_BUDGET)
  return past < 0 ? short : short.slice(0, past)
}

/** A pointer that is too long is shortened to an enclosing value. */
function shortened(pointer: string): string {
  return pointer.length > POINTER_BUDGET
    ? pointer.slice(0, pointer.lastIndexOf('/', POINTER_BUDGET))
    : pointer
}

/** The fault of a batch that does not begin with `[`: not JSON, or not an array. */
function notAnArray(body: Buffer): ParseFault {
  if (!scanText(body, 0, body.length, scan)) return notJson()
  return invalidBatch('A batch must be a JSON array of events; send a single event to POST /event.')
}

function invalidBatch(detail: string): ParseFault {
  return { ok: false, status: 422, problem: 'invalid-event', detail, errors: [{ pointer: '', detail }] }
}

function notUtf8(place: string): ParseFault {
  return { ok: false, status: 400, problem: 'not-utf8', detail: `${place}: the body must be UTF-8.` }
}

function notJsonAt(place: string, reason: string): ParseFault {
  return { ok: false, status: 400, problem: 'not-json', detail: `${place}: ${reason}.` }
}

/** The fault of the failed scan. */
function notJson(place = byteAt(scan.errorOffset)): ParseFault {
  return scan.error === 'not_utf8' ? notUtf8(place) : notJsonAt(place, scan.errorReason)
}

function byteAt(offset: number): string {
  return `Byte ${offset}`
}

/** Lines, including blank ones, are counted from 1 as in an editor; bytes from 0, from the start of the body. */
function lineAt(body: Buffer, offset: number): string {
  let line = 1
  for (let at = body.indexOf(0x0a); at >= 0 && at < offset; at = body.indexOf(0x0a, at + 1)) line++
  return `Line ${line}, byte ${offset}`
}
