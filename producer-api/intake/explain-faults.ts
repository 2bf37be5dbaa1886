/** Lists every fault of a refused event. Slow path: used only after validation has failed. */
import { clientFields, type Field, fieldOf, fieldsFor, isAbsent, lackingFields } from '../../event/fields.ts'
import type { UserIdType } from '../../event/kinds.ts'
import { pointersAt, pointerSegment } from '../../event/json/pointer.ts'
import { type JsonbFaultKind, type JsonScan, KIND_OBJECT } from '../../event/json/scan-result.ts'
import { MAX_DEPTH, MAX_FAULTS, POINTER_BUDGET } from '../../event/limits.ts'
import type { ProblemError } from '../http/problem.ts'
import { KNOWN_NAMES } from './cloud-event-attributes.ts'

/** Those that a client may send. */
const NAMES = clientFields('bigint').map(({ name }) => name)
const FIELD_LIST = `${NAMES.slice(0, -1).join(', ')} and ${NAMES.at(-1)}`

const JSONB_FAULTS: Record<JsonbFaultKind, string> = {
  nul_escape: 'A string must not contain the character \\u0000.',
  lone_surrogate: 'A \\u escape of a surrogate must be part of a pair: a high surrogate, then a low one.',
  number_out_of_range:
    'A number must be below 1e131072 in magnitude and have at most 16383 digits after the decimal point.',
  too_deep: `An event must not be nested deeper than ${MAX_DEPTH} levels.`,
}

const MAX_QUOTED_NAME = 100

/**
 * The faults of the value in `scan`, in text order with missing fields last; empty if it is a valid event. The list may
 * be incomplete once it has MAX_FAULTS entries. Each pointer begins with `prefix`.
 */
export function eventFaults(
  buf: Buffer,
  scan: JsonScan,
  prefix: string,
  userIdType: UserIdType,
): ProblemError[] {
  const fields = fieldsFor(userIdType)
  const present = new Set<number>()
  if (scan.kind !== KIND_OBJECT) return [{ pointer: prefix, detail: 'An event must be a JSON object.' }]
  const errors: ProblemError[] = []
  const names = new Set<string>()
  const repeated = new Set<string>()
  for (let i = 0; i < scan.memberCount && errors.length < MAX_FAULTS; i++) {
    const name = scan.name(buf, i)
    const pointer = prefix + pointerSegment(name)
    if (!names.has(name)) {
      names.add(name)
      const n = fieldOf(buf, scan, i)
      const field = fields[n]
      if (field?.isFromClient && isAbsent(field, scan, i)) continue
      present.add(n)
      errors.push(...memberFaults(buf, scan, i, field, pointer))
    } else if (!repeated.has(name)) {
      repeated.add(name)
      errors.push({ pointer, detail: `${quoted(name)} must appear only once.` })
    }
  }
  if (errors.length >= MAX_FAULTS) return errors
  for (const n of lackingFields((each) => present.has(each))) {
    const { name } = fields[n]!
    errors.push({ pointer: `${prefix}/${name}`, detail: `${name} is missing: it ${requirement(fields[n]!)}` })
  }
  return errors
}

function requirement({ kind, missing, unless }: Field): string {
  const orNot =
    missing === 'refused' ? '' : `, or be omitted${unless === undefined ? '' : ` if ${unless} is there`}`
  return `must be ${kind.expected}${orNot}.`
}

function memberFaults(
  buf: Buffer,
  scan: JsonScan,
  i: number,
  field: Field | undefined,
  pointer: string,
): ProblemError[] {
  if (!field?.isFromClient) {
    const detail = `${quoted(scan.name(buf, i))} is not a field of an event; the fields are ${FIELD_LIST}.`
    return [{ pointer, detail }]
  }
  if (field.kind.read(buf, scan, i) === undefined)
    return [{ pointer, detail: `${field.name} ${requirement(field)}` }]
  return storageFaults(buf, scan, i, pointer)
}

/** What PostgreSQL cannot hold in a value. */
export function storageFaults(buf: Buffer, scan: JsonScan, i: number, pointer: string): ProblemError[] {
  const start = scan.valueStart[i]!
  const end = scan.valueEnd[i]!
  const faults = scan.faults.filter((fault) => fault.offset >= start && fault.offset < end)
  const offsets = faults.map((fault) => fault.offset)
  const pointers = pointersAt(buf, start, end, offsets, POINTER_BUDGET)
  return pointers.map((below, n) => {
    const kind = faults[n]!.kind
    return { pointer: pointer + below, detail: JSONB_FAULTS[kind] }
  })
}

/** A fault without anything that a client chose: a pointer only to a field, and no name of another. */
export function faultForLog({ pointer, detail }: ProblemError, isBatch: boolean): ProblemError {
  const [, index = '', name] = (isBatch ? /^(\/\d+)?(?:\/([^/]*))?/ : /^()(?:\/([^/]*))?/).exec(pointer) ?? []
  if (name !== undefined && (NAMES.some((each) => each === name) || KNOWN_NAMES.has(name)))
    return { pointer: `${index}/${name}`, detail }
  // The pointer to a long name was shortened: only the detail still has it, in quotes.
  if (name === undefined && !detail.startsWith('"')) return { pointer: index, detail }
  return { pointer: index, detail: 'It has a name that is not a field of an event.' }
}

/** A name chosen by the client, quoted and truncated. */
function quoted(name: string): string {
  return JSON.stringify(name.length > MAX_QUOTED_NAME ? `${name.slice(0, MAX_QUOTED_NAME)}…` : name)
}
