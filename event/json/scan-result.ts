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

const STRIDE = 5
const KIND_MASK = 0xff
const NAME_ESCAPED = 0x100
const VALUE_ESCAPED = 0x200
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
  /** For each member: name start, name end, value start, value end, kind and flags. */
  #slices = new Int32Array(STRIDE * FIRST_MEMBERS)

  /** The name of member `i` without its quotes, still escaped: `[nameStart(i), nameEnd(i))`. */
  nameStart(i: number): number {
    return this.#slices[i * STRIDE]!
  }
  nameEnd(i: number): number {
    return this.#slices[i * STRIDE + 1]!
  }
  /** The value of member `i`, including the quotes of a string: `[valueStart(i), valueEnd(i))`. */
  valueStart(i: number): number {
    return this.#slices[i * STRIDE + 2]!
  }
  valueEnd(i: number): number {
    return this.#slices[i * STRIDE + 3]!
  }
  /** One of KIND_*. */
  valueKind(i: number): number {
    return this.#slices[i * STRIDE + 4]! & KIND_MASK
  }
  nameIsEscaped(i: number): boolean {
    return (this.#slices[i * STRIDE + 4]! & NAME_ESCAPED) !== 0
  }
  valueIsEscaped(i: number): boolean {
    return (this.#slices[i * STRIDE + 4]! & VALUE_ESCAPED) !== 0
  }

  /** The decoded name of member `i`. */
  name(buf: Buffer, i: number): string {
    return decodeString(buf, this.nameStart(i), this.nameEnd(i), this.nameIsEscaped(i))
  }
  /** The decoded value of member `i`, whose kind must be KIND_STRING. */
  string(buf: Buffer, i: number): string {
    return decodeString(buf, this.valueStart(i) + 1, this.valueEnd(i) - 1, this.valueIsEscaped(i))
  }

  /** For the scanner: clears the previous result. */
  reset(): void {
    this.memberCount = 0
    this.kind = 0
    this.error = undefined
    this.errorOffset = -1
    if (this.faults.length > 0) this.faults = []
    this.#faultsOfMember = 0
    if (this.#slices.length > STRIDE * MEMBERS_KEPT) this.#slices = new Int32Array(STRIDE * FIRST_MEMBERS)
  }

  /** For the scanner: starts a member with its name. */
  beginMember(nameStart: number, nameEnd: number, escaped: boolean): void {
    const at = this.memberCount * STRIDE
    if (at === this.#slices.length) this.#grow()
    this.#slices[at] = nameStart
    this.#slices[at + 1] = nameEnd
    this.#slices[at + 4] = escaped ? NAME_ESCAPED : 0
    this.#faultsOfMember = 0
  }

  /** For the scanner: completes a member with its value. */
  endMember(kind: number, valueStart: number, valueEnd: number, escaped: boolean): void {
    const at = this.memberCount * STRIDE
    this.#slices[at + 2] = valueStart
    this.#slices[at + 3] = valueEnd
    this.#slices[at + 4] = this.#slices[at + 4]! | kind | (escaped ? VALUE_ESCAPED : 0)
    this.memberCount++
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

  #grow(): void {
    const larger = new Int32Array(this.#slices.length * 2)
    larger.set(this.#slices)
    this.#slices = larger
  }
}

/** Decodes the text between the quotes of a JSON string, which has no escapes unless `escaped` is set. */
export function decodeString(buf: Buffer, start: number, end: number, escaped: boolean): string {
  const text = buf.toString('utf8', start, end)
  if (!escaped) return text
  const decoded: string = JSON.parse(`"${text}"`)
  return decoded
}
