/** Why a body is refused, with the place and within the limits of an answer. */
import type { JsonScan } from '../../event/json/scan-result.ts'
import { MAX_FAULTS, POINTER_BUDGET } from '../../event/limits.ts'
import type { ProblemError } from '../http/problem.ts'

/** The arguments for problem(), and the status of that problem. */
export type ParseFault =
  | { ok: false; status: 400; problem: 'not-json' | 'not-utf8'; detail: string; errors?: never }
  | { ok: false; status: 413; problem: 'too-large'; detail: string; errors?: never }
  | { ok: false; status: 415; problem: 'unsupported-media-type'; detail: string; errors?: never }
  | { ok: false; status: 422; problem: 'invalid-event'; detail: string; errors: ProblemError[] }

/** The faults that an answer lists. */
export interface ListedFaults {
  errors: ProblemError[]
  /** Whether there may be faults that are not listed. */
  mayBeMore: boolean
}

/** The first faults: at most MAX_FAULTS, whose pointers have at most POINTER_BUDGET characters in total. */
export function listed(errors: readonly ProblemError[]): ListedFaults {
  const first = withinBudget(errors.slice(0, MAX_FAULTS))
  return { errors: first, mayBeMore: errors.length >= MAX_FAULTS || first.length < errors.length }
}

export function invalid(faults: readonly ProblemError[]): ParseFault {
  const { errors, mayBeMore } = listed(faults)
  const count = faults.length === 1 ? 'one fault' : `${errors.length} faults`
  const detail = `Nothing was accepted because of ${count}, listed in errors.${mayBeMore ? ' There may be more.' : ''}`
  return { ok: false, status: 422, problem: 'invalid-event', detail, errors }
}

export function invalidBatch(detail: string): ParseFault {
  return { ok: false, status: 422, problem: 'invalid-event', detail, errors: [{ pointer: '', detail }] }
}

/** The fault of a scanned event that is longer than the limit, in bytes; undefined if it is not. */
export function tooLarge(subject: string, scan: JsonScan, maxBytes: number): ParseFault | undefined {
  const bytes = scan.end - scan.start
  if (bytes <= maxBytes) return undefined
  const detail = `${subject} must be at most ${maxBytes} bytes long; it has ${bytes}.`
  return { ok: false, status: 413, problem: 'too-large', detail }
}

export function notUtf8(place: string): ParseFault {
  return { ok: false, status: 400, problem: 'not-utf8', detail: `${place}: the body must be UTF-8.` }
}

export function notJsonAt(place: string, reason: string): ParseFault {
  return { ok: false, status: 400, problem: 'not-json', detail: `${place}: ${reason}.` }
}

/** The fault of a failed scan. */
export function notJson(scan: JsonScan, place = byteAt(scan.errorOffset)): ParseFault {
  return scan.error === 'not_utf8' ? notUtf8(place) : notJsonAt(place, scan.errorReason)
}

export function byteAt(offset: number): string {
  return `Byte ${offset}`
}

/** Lines, including blank ones, are counted from 1 as in an editor; bytes from 0, from the start of the body. */
export function lineAt(body: Buffer, offset: number): string {
  let line = 1
  for (let at = body.indexOf(0x0a); at >= 0 && at < offset; at = body.indexOf(0x0a, at + 1)) line++
  return `Line ${line}, byte ${offset}`
}

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
