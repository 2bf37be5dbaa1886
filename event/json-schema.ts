/** The JSON Schemas (draft 2020-12) of an event and of a record, made from the table of fields. */
import { clientFields, type Field, fieldsFor } from './fields.ts'
import { NO_NUL, type UserIdType } from './kinds.ts'

const $defs = {
  /** Any JSON value without the character NUL: each rule is for the values of one type. */
  JsonValue: {
    pattern: NO_NUL,
    items: { $ref: '#/$defs/JsonValue' },
    propertyNames: { pattern: NO_NUL },
    additionalProperties: { $ref: '#/$defs/JsonValue' },
  },
}
const DIALECT = { $schema: 'https://json-schema.org/draft/2020-12/schema' }

/** What a client sends; for bigint, schemas/event.schema.json. */
export const eventSchema = (userIdType: UserIdType) => ({
  ...DIALECT,
  title: 'Event',
  description:
    'What a client sends to POST /event. Beyond this schema: names must not be repeated; the year is 0001 to 9999 also in UTC; strings have no lone surrogates; numbers of the metadata are within the range of numeric; nesting and size are within the documented limits.',
  type: 'object',
  ...required(clientFields(userIdType)),
  additionalProperties: false,
  properties: properties(clientFields(userIdType), 'event'),
  $defs,
  examples: [
    { user_id: 42, timestamp: '2025-01-31T12:00:00Z', metadata: { page: '/pricing' } },
    {
      anonymous_id: '5d1f0c3e-anonymous',
      timestamp: '2025-01-31T12:00:00Z',
      event_name: 'page_viewed',
      session_id: 's-20250131-7f',
      metadata: { page: '/pricing' },
    },
    {
      event_id: '0198C0DE-7A5B-7000-8000-0123456789AB',
      user_id: -7,
      timestamp: '2025-01-31T13:00:00.123456789+01:00',
      metadata: {
        page: '/pricing',
        items: [{ sku: 'a-1', price: 19.99 }],
        path: 'café ☕',
        nothing: null,
        nested: { deep: [[[]]] },
      },
    },
  ],
})

/** The value of a Kafka record; for bigint, schemas/record.schema.json. */
export const recordSchema = (userIdType: UserIdType) => ({
  ...DIALECT,
  title: 'Record',
  description: `The value of a record in the topic: one JSON object, UTF-8. The API writes the fields in the order below, metadata last, without white space between them, timestamps in UTC with six digits. Other producers may use any order, omit event_id and received_at, and add fields, which the sink ignores.`,
  type: 'object',
  ...required(fieldsFor(userIdType)),
  additionalProperties: true,
  properties: properties(fieldsFor(userIdType), 'record'),
  $defs,
  examples: [
    {
      event_id: '0198c0de-7a5b-7000-8000-0123456789ab',
      user_id: 42,
      timestamp: '2025-01-31T12:00:00.000000Z',
      received_at: '2025-01-31T12:00:00.250000Z',
      metadata: { page: '/pricing' },
    },
    {
      metadata: { page: '/pricing' },
      timestamp: '2025-01-31T12:00:00+00:00',
      user_id: 42,
      region: 'eu',
    },
  ],
})

/** The fields that must be there; of those that may be missing if another one is there, one of the two. */
function required(fields: readonly Field[]): object {
  const oneOfTwo = fields.flatMap(({ name, unless }) => (unless === undefined ? [] : [[name, unless]]))
  return {
    required: fields.filter(({ missing }) => missing === 'refused').map(({ name }) => name),
    allOf: oneOfTwo.map((names) => ({
      anyOf: names.map((name) => ({ required: [name], properties: { [name]: { not: { type: 'null' } } } })),
    })),
  }
}

function properties(fields: readonly Field[], of: 'event' | 'record'): Record<string, object> {
  return Object.fromEntries(
    fields.map(({ name, kind, missing, about, examples }) => [
      name,
      {
        description: about[of],
        ...(missing === 'null' ? { anyOf: [...alternatives(kind.schema), { type: 'null' }] } : kind.schema),
        examples: examples[of],
      },
    ]),
  )
}

function alternatives(schema: object): readonly object[] {
  return 'anyOf' in schema ? (schema.anyOf as readonly object[]) : [schema]
}
