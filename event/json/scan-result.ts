/** The result of a scan (scan.ts): whether the text is JSON, whether jsonb can hold it, and the positions of its parts. */
import { MAX_FAULTS } from '../limits.ts'

export const KIND_OBJECT = 1
export const KIND_ARRAY = 2
export const KIND_STRING = 3
export const KIND_NUMBER = 4
export const KIND_TRUE = 5
export const KIND_FALSE = 6
export const KIND_NULL = 7

/** Valid JSON that jsonb cannot hold. */
export type JsonbFaultKind = 'nul_escape' | 'lone_surrogate' | 'number_out_of_range' | 'too_deep'

export interface JsonbFault {
  kind: JsonbFaultKind
  /** Offset of the backslash, of the number, or of the bracket that exceeds the depth. */
  offset: number
}

const FIRST_MEMBERS = 16
const MEMBERS_KEPT = 1_024

/**
 * Reusable: a scan is synchronous, so one instance per module is enough. All offsets are bytes in the scanned buffer.
 */
export class JsonScan {
  /** Kind of the scanned value, one of KIND_*. */
  kind = 0
  /** The value without surrounding white space: `[start, end)`. */
  start = 0
  end = 0
  /** Number of members if the value is an object. Members are in text order, including repeated names. */
  memberCount = 0
  /**
   * In ascending order of offset. Below MAX_DEPTH only `too_deep` itself is reported. At most MAX_FAULTS for each member
   * (or for a value that is not an object), so that the faults of one member do not displace those of the next.
   */
  faults: JsonbFault[] = []
  #faultsOfMember = 0
  /** Set if the text is not JSON: why, and the offset of the first invalid byte (the end of a truncated text). */
  error: 'not_utf8' | 'not_json' | undefined = undefined
  errorOffset = -1
  errorReason = ''
  /** Set by scanString(): whether the string contains an escape. */
  escaped = false

  // The members as columns: readers index them, and no object is made for a member.
  /** The name of member `i` without its quotes, still escaped: `[nameStart[i], nameEnd[i])`. */
  nameStart = new Int32Array(FIRST_MEMBERS)
  nameEnd = new Int32Array(FIRST_MEMBERS)
  /** 1 if the name has an escape. */
  nameIsEscaped = new Uint8Array(FIRST_MEMBERS)
  /** The value of member `i`, including the quotes of a string: `[valueStart[i], valueEnd[i])`. */
  valueStart = new Int32Array(FIRST_MEMBERS)
  valueEnd = new Int32Array(FIRST_MEMBERS)
  /** 1 if the value is a string with an escape. */
  valueIsEscaped = new Uint8Array(FIRST_MEMBERS)
  /** One of KIND_*. */
  valueKind = new Uint8Array(FIRST_MEMBERS)

  /** The decoded name of member `i`. */
  name(buf: Buffer, i: number): string {
    return decodeString(buf, this.nameStart[i]!, this.nameEnd[i]!, this.nameIsEscaped[i] === 1)
  }
  /** The decoded value of member `i`, whose kind must be KIND_STRING. */
  string(buf: Buffer, i: number): string {
    return decodeString(buf, this.valueStart[i]! + 1, this.valueEnd[i]! - 1, this.valueIsEscaped[i] === 1)
  }

  /** For the scanner: clears the previous result. */
  reset(): void {
    this.memberCount = 0
    this.kind = 0
    this.error = undefined
    this.errorOffset = -1
    if (this.faults.length > 0) this.faults = []
    this.#faultsOfMember = 0
    if (this.valueKind.length > MEMBERS_KEPT) this.#resize(FIRST_MEMBERS)
  }

  /** For the scanner: starts a member with its name. */
  beginMember(nameStart: number, nameEnd: number, escaped: boolean): void {
    const i = this.memberCount
    if (i === this.valueKind.length) this.#resize(2 * i)
    this.nameStart[i] = nameStart
    this.nameEnd[i] = nameEnd
    this.nameIsEscaped[i] = escaped ? 1 : 0
    this.#faultsOfMember = 0
  }

  /** For the scanner: completes a member with its value. */
  endMember(kind: number, valueStart: number, valueEnd: number, escaped: boolean): void {
    const i = this.memberCount++
    this.valueStart[i] = valueStart
    this.valueEnd[i] = valueEnd
    this.valueIsEscaped[i] = escaped ? 1 : 0
    this.valueKind[i] = kind
  }

  /** For the scanner: jsonb cannot hold the token at `offset`. */
  addFault(kind: JsonbFaultKind, offset: number): void {
    if (this.#faultsOfMember++ < MAX_FAULTS) this.faults.push({ kind, offset })
  }

  /** For the scanner: the text is not JSON. Returns -1, which its callers return in place of an offset. */
  fail(offset: number, reason: string, error: 'not_utf8' | 'not_json' = 'not_json'): -1 {
    this.error = error
    this.errorOffset = offset
    this.errorReason = reason
    return -1
  }

  /** Keeps the members that fit. */
  #resize(members: number): void {
    this.nameStart = resized(this.nameStart, new Int32Array(members))
    this.nameEnd = resized(this.nameEnd, new Int32Array(members))
    this.nameIsEscaped = resized(this.nameIsEscaped, new Uint8Array(members))
    this.valueStart = resized(this.valueStart, new Int32Array(members))
    this.valueEnd = resized(this.valueEnd, new Int32Array(members))
    this.valueIsEscaped = resized(this.valueIsEscaped, new Uint8Array(members))
    this.valueKind = resized(this.valueKind, new Uint8Array(members))
  }
}

function resized<T extends Int32Array | Uint8Array>(from: T, to: T): T {
  to.set(from.subarray(0, to.length))
  return to
}

/** Decodes the text between the quotes of a JSON string, which has no escapes unless `escaped` is set. */
export function decodeString(buf: Buffer, start: number, end: number, escaped: boolean): string {
  const text = buf.toString('utf8', start, end)
  if (!escaped) return text
  const decoded: string = JSON.parse(`"${text}"`)
  return decoded
}
