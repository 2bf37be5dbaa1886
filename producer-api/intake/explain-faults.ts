/** Lists every fault of a refused event. Slow path: used only after validation has failed. */
import { CLIENT_FIELDS, type Field, fieldOf, FIELDS } from '../../event/fields.ts'
import { pointersAt, pointerSegment } from '../../event/json/pointer.ts'
import { type JsonbFaultKind, type JsonScan, KIND_OBJECT } from '../../event/json/scan-result.ts'
import { MAX_DEPTH, MAX_FAULTS, POINTER_BUDGET } from '../../event/limits.ts'
import type { ProblemError } from '../http/problem.ts'

const LAST_FIELD = CLIENT_FIELDS.at(-1)?.name
const OTHER_FIELDS = CLIENT_FIELDS.slice(0, -1).map(({ name }) => name)

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
export function eventFaults(buf: Buffer, scan: JsonScan, prefix: string): ProblemError[] {
  if (scan.kind !== KIND_OBJECT) return [{ pointer: prefix, detail: 'An event must be a JSON object.' }]
  const errors: ProblemError[] = []
  const names = new Set<string>()
  const repeated = new Set<string>()
  for (let i = 0; i < scan.memberCount && errors.length < MAX_FAULTS; i++) {
    const name = scan.name(buf, i)
    const pointer = prefix + pointerSegment(name)
    if (!names.has(name)) {
      names.add(name)
      errors.push(...memberFaults(buf, scan, i, name, pointer))
    } else if (!repeated.has(name)) {
      repeated.add(name)
      errors.push({ pointer, detail: `${quoted(name)} must appear only once.` })
    }
  }
  if (errors.length >= MAX_FAULTS) return errors
  for (const field of CLIENT_FIELDS) {
    const { name, missing } = field
    if (missing !== 'refused' || names.has(name)) continue
    errors.push({ pointer: `${prefix}/${name}`, detail: `${name} is missing: it ${requirement(field)}` })
  }
  return errors
}

function requirement({ kind, missing }: Field): string {
  return `must be ${kind.expected}${missing === 'refused' ? '' : ', or be omitted'}.`
}

function memberFaults(buf: Buffer, scan: JsonScan, i: number, name: string, pointer: string): ProblemError[] {
  const field: Field | undefined = FIELDS[fieldOf(buf, scan, i)]
  if (!field?.isFromClient) {
    const detail = `${quoted(name)} is not a field of an event; the fields are ${OTHER_FIELDS.join(', ')} and ${LAST_FIELD}.`
    return [{ pointer, detail }]
  }
  if (field.kind.read(buf, scan, i) === undefined)
    return [{ pointer, detail: `${name} ${requirement(field)}` }]
  return storageFaults(buf, scan, i, pointer)
}

/** What PostgreSQL cannot hold in a value. */
function storageFaults(buf: Buffer, scan: JsonScan, i: number, pointer: string): ProblemError[] {
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
  if (name === undefined) return { pointer: index, detail }
  if (CLIENT_FIELDS.some((field) => field.name === name)) return { pointer: `${index}/${name}`, detail }
  return { pointer: index, detail: 'It has a name that is not a field of an event.' }
}

/** A name chosen by the client, quoted and truncated. */
function quoted(name: string): string {
  return JSON.stringify(name.length > MAX_QUOTED_NAME ? `${name.slice(0, MAX_QUOTED_NAME)}…` : name)
}
