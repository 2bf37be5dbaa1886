/** The result of a scan (scan.ts): whether the text is JSON, whether jsonb can hold it, and where its parts are. */
import { MAX_FAULTS } from '../limits.ts'

export const KIND_OBJECT = 1
export const KIND_ARRAY = 2
export const KIND_STRING = 3
export const KIND_NUMBER = 4
export const KIND_TRUE = 5
export const KIND_FALSE = 6
export const KIND_NULL = 7

/** What jsonb refuses although it is JSON. */
export type JsonbFaultKind = 'nul_escape' | 'lone_surrogate' | 'number_out_of_range' | 'too_deep'

/** `offset`: of the escape's backslash, of the number's first byte, or of the bracket that goes too deep. */
export interface JsonbFault {
  kind: JsonbFaultKind
  offset: number
}

const STRIDE = 5
const KIND_MASK = 0xff
const NAME_ESCAPED = 0x100
const VALUE_ESCAPED = 0x200
const FIRST_MEMBERS = 16
const MEMBERS_KEPT = 1_024

/**
 * Made once and used for many scans: a scan is synchronous, so one per module is enough. All offsets are bytes in the
 * buffer that was scanned.
 */
export class JsonScan {
  /** One of KIND_*: the scanned value. */
  kind = 0
  /** The value without the spaces around it: `[start, end)`. */
  start = 0
  end = 0
  /** Members of the value when it is an object, in the order of the text; repeated names stay repeated. */
  memberCount = 0
  /**
   * By ascending offset; past MAX_DEPTH only `too_deep` itself. At most MAX_FAULTS for each member (or for a value that
   * is no object), so that none of one member can crowd out those of the next.
   */
  faults: JsonbFault[] = []
  #faultsOfMember = 0
  /** Set when the text is not JSON: the first byte that cannot stand there (its end when it is cut short), and why. */
  error: 'not_utf8' | 'not_json' | undefined = undefined
  errorOffset = -1
  errorReason = ''
  /** Written by scanString, for its caller: whether that string had an escape. */
  escaped = false
  /** Name start, name end, value start, value end, kind and flags: for each member. */
  #slices = new Int32Array(STRIDE * FIRST_MEMBERS)

  /** The name of member `i` between its quotes, still escaped: `[nameStart(i), nameEnd(i))`. */
  nameStart(i: number): number {
    return this.#slices[i * STRIDE]!
  }
  nameEnd(i: number): number {
    return this.#slices[i * STRIDE + 1]!
  }
  /** The value of member `i`, a string with its quotes: `[valueStart(i), valueEnd(i))`. */
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

  /** For the scanner: forgets the last scan. */
  reset(): void {
    this.memberCount = 0
    this.kind = 0
    this.error = undefined
    this.errorOffset = -1
    if (this.faults.length > 0) this.faults = []
    this.#faultsOfMember = 0
    if (this.#slices.length > STRIDE * MEMBERS_KEPT) this.#slices = new Int32Array(STRIDE * FIRST_MEMBERS)
  }

  /** For the scanner: a member begins, its name is known. */
  beginMember(nameStart: number, nameEnd: number, escaped: boolean): void {
    const at = this.memberCount * STRIDE
    if (at === this.#slices.length) this.#grow()
    this.#slices[at] = nameStart
    this.#slices[at + 1] = nameEnd
    this.#slices[at + 4] = escaped ? NAME_ESCAPED : 0
    this.#faultsOfMember = 0
  }

  /** For the scanner: the member's value was read. */
  endMember(kind: number, valueStart: number, valueEnd: number, escaped: boolean): void {
    const at = this.memberCount * STRIDE
    this.#slices[at + 2] = valueStart
    this.#slices[at + 3] = valueEnd
    this.#slices[at + 4] = this.#slices[at + 4]! | kind | (escaped ? VALUE_ESCAPED : 0)
    this.memberCount++
  }

  /** For the scanner: jsonb cannot hold what stands at `offset`. */
  addFault(kind: JsonbFaultKind, offset: number): void {
    if (this.#faultsOfMember++ < MAX_FAULTS) this.faults.push({ kind, offset })
  }

  /** For the scanner: the text is not JSON. Returns -1, which is "no offset" to the callers. */
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

/** The text between the quotes of a JSON string; without `escaped` it is taken as it stands. */
export function decodeString(buf: Buffer, start: number, end: number, escaped: boolean): string {
  const text = buf.toString('utf8', start, end)
  if (!escaped) return text
  const decoded: string = JSON.parse(`"${text}"`)
  return decoded
}
