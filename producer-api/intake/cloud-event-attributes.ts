import type { FieldName } from '../../event/fields.ts'

/** An attribute of a CloudEvent, or its data, that is a field of an event. */
export interface Attribute {
  readonly name: string
  readonly field: FieldName
  /** Whether a CloudEvent must have it to be an event, whatever else it has. */
  readonly isRequired: boolean
}

export const DATA = 'data'

/** Other attributes, such as dataschema and extensions, are not stored. */
export const ATTRIBUTES: readonly Attribute[] = [
  { name: 'id', field: 'event_id', isRequired: true },
  { name: 'source', field: 'source', isRequired: true },
  { name: 'type', field: 'event_name', isRequired: true },
  { name: 'time', field: 'timestamp', isRequired: true },
  { name: 'subject', field: 'user_id', isRequired: false },
  { name: 'anonymousid', field: 'anonymous_id', isRequired: false },
  { name: 'sessionid', field: 'session_id', isRequired: false },
  { name: 'eventtype', field: 'event_type', isRequired: false },
  { name: DATA, field: 'metadata', isRequired: false },
]

/** What else is read of a CloudEvent: its version, and what its data are. */
export const SPECVERSION = 'specversion'
export const DATA_TYPE = 'datacontenttype'
export const BINARY_DATA = 'data_base64'

/** Everything that is read. */
export const KNOWN_NAMES: ReadonlySet<string> = new Set([
  ...ATTRIBUTES.map(({ name }) => name),
  SPECVERSION,
  DATA_TYPE,
  BINARY_DATA,
])
