/**
 * CloudEvents 1.0 in JSON (https://cloudevents.io) as events: cloud-event-attributes.ts says which attribute is which field.
 * Values are read by the table of fields, as those of any event, and data are the metadata, byte for byte.
 */
import { type CanonicalEvent, type Field, fieldsFor } from '../../event/fields.ts'
import { canonicalUuid } from '../../event/read-value.ts'
import { type JsonScan, KIND_NULL, KIND_OBJECT, KIND_STRING } from '../../event/json/scan-result.ts'
import { contentTypeOf, isJson } from '../http/content-type.ts'
import type { ProblemError } from '../http/problem.ts'
import {
  type Attribute,
  ATTRIBUTES,
  BINARY_DATA,
  DATA,
  DATA_TYPE,
  KNOWN_NAMES,
  SPECVERSION,
} from './cloud-event-attributes.ts'
import { cloudEventId } from './cloud-event-id.ts'
import type { EventForm } from './event-form.ts'
import { storageFaults } from './explain-faults.ts'
import type { ParseFault } from './parse-faults.ts'
import type { EventOptions } from './validate.ts'

const VERSION = '1.0'
const NO_DATA = Buffer.from('{}')

/** What differs between the ways to send a CloudEvent. */
interface Mode {
  /** How the client has written an attribute, or data. */
  readonly label: (name: string) => string
  /** What is wrong with an attribute that PostgreSQL cannot hold, if the mode has a text of its own for it. */
  readonly storageFault?: (name: string) => string | undefined
}

export const STRUCTURED: EventForm = formOf({ label: (name) => name })

/** As STRUCTURED, for the JSON that cloud-event-headers.ts makes of headers. Its pointers are into the CloudEvent, too. */
export const BINARY: EventForm = formOf({
  label: (name) => (name === DATA ? 'The body' : `The header ce-${name}`),
  storageFault: (name) =>
    name === DATA
      ? undefined
      : `The header ce-${name} must be percent-encoded UTF-8 without the character NUL.`,
})

function formOf(mode: Mode): EventForm {
  return {
    read: (buf, scan, options) => {
      const read = readCloudEvent(buf, scan, '', options, mode)
      return Array.isArray(read) ? undefined : read
    },
    faults: (buf, scan, prefix, options) => {
      const read = readCloudEvent(buf, scan, prefix, options, mode)
      return Array.isArray(read) ? read : []
    },
    refusal: (buf, scan, subject) => {
      const detail = unsupported(buf, scan, subject)
      return detail === undefined
        ? undefined
        : ({ ok: false, status: 415, problem: 'unsupported-media-type', detail } satisfies ParseFault)
    },
  }
}

/** The event in `scan`, or all its faults. */
function readCloudEvent(
  buf: Buffer,
  scan: JsonScan,
  prefix: string,
  { userIdType, label }: EventOptions,
  mode: Mode,
): CanonicalEvent | ProblemError[] {
  if (scan.kind !== KIND_OBJECT) return [{ pointer: prefix, detail: 'A CloudEvent must be a JSON object.' }]
  const errors: ProblemError[] = []
  const add = (name: string, detail: string): unknown =>
    errors.push({ pointer: `${prefix}/${name}`, detail: `${mode.label(name)} ${detail}` })
  const { members, repeated } = membersOf(buf, scan)
  for (const name of repeated) add(name, 'must appear only once.')
  const text = (name: string): string => textOf(buf, scan, members.get(name))
  if (text(SPECVERSION) !== VERSION) add(SPECVERSION, `must be "${VERSION}".`)

  const event: Record<string, string | Buffer> = {}
  const fields = fieldsFor(userIdType)
  for (const attribute of ATTRIBUTES) {
    const { name } = attribute
    const field = fields.find((each) => each.name === attribute.field)!
    const i = members.get(name)
    if (i === undefined) {
      if (isLacking(attribute, field, members)) add(name, `is missing: it ${requirement(attribute, field)}`)
      continue
    }
    const value = name === 'id' ? text(name) || undefined : field.kind.read(buf, scan, i)
    if (value === undefined) add(name, requirement(attribute, field))
    else {
      event[field.key] = value
      for (const fault of storageFaults(buf, scan, i, `${prefix}/${name}`))
        errors.push({ ...fault, detail: mode.storageFault?.(name) ?? fault.detail })
    }
  }
  if (errors.length > 0) return errors
  const id = text('id')
  const eventId = canonicalUuid(id) ?? cloudEventId(String(event.timestamp), text('source'), id, label)
  return { metadata: NO_DATA, ...event, eventId } as CanonicalEvent
}

/** The members that are read, by name; those with the value null are absent, but for data, and a repeated one counts once. */
function membersOf(buf: Buffer, scan: JsonScan): { members: Map<string, number>; repeated: Set<string> } {
  const members = new Map<string, number>()
  const repeated = new Set<string>()
  for (let i = 0; i < scan.memberCount; i++) {
    const name = scan.name(buf, i)
    if (!KNOWN_NAMES.has(name)) continue
    if (members.has(name)) repeated.add(name)
    else members.set(name, i)
  }
  for (const [name, i] of members) if (name !== DATA && scan.valueKind[i] === KIND_NULL) members.delete(name)
  return { members, repeated }
}

/** The string in a member; empty if it is none. */
function textOf(buf: Buffer, scan: JsonScan, i: number | undefined): string {
  return i !== undefined && scan.valueKind[i] === KIND_STRING ? scan.string(buf, i) : ''
}

function isLacking({ isRequired }: Attribute, { unless }: Field, members: Map<string, number>): boolean {
  return isRequired || (unless !== undefined && !members.has(attributeOf(unless) ?? ''))
}

function requirement({ name, isRequired }: Attribute, { kind, unless }: Field): string {
  const expected = name === 'id' ? 'a string of at least one character' : kind.expected
  const orNot =
    unless === undefined ? ', or be omitted' : `, or be omitted if ${attributeOf(unless)} is there`
  return `must be ${expected}${isRequired ? '' : orNot}.`
}

function attributeOf(field: string): string | undefined {
  return ATTRIBUTES.find((attribute) => attribute.field === field)?.name
}

/** Why the data of a CloudEvent cannot be stored, if they are no JSON. */
function unsupported(buf: Buffer, scan: JsonScan, subject: string): string | undefined {
  if (scan.kind !== KIND_OBJECT) return undefined
  const { members } = membersOf(buf, scan)
  if (members.has(BINARY_DATA)) {
    return `${subject} has ${BINARY_DATA}: only data that are a JSON object can be stored; send them as the member data.`
  }
  const i = members.get(DATA_TYPE)
  if (i === undefined || isJson(contentTypeOf(textOf(buf, scan, i)))) return undefined
  return `${subject} has a ${DATA_TYPE} that is not JSON in UTF-8: only data that are a JSON object can be stored; send them with application/json.`
}
