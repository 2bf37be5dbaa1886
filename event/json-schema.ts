/** The JSON Schemas (draft 2020-12) of an event and of a record, made from the table of fields. */
import { CLIENT_FIELDS, type Field, FIELDS } from './fields.ts'

const NO_NUL = '^[^\\u0000]*$'
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

/** schemas/event.schema.json: what a client sends. */
export const eventSchema = {
  ...DIALECT,
  title: 'Event',
  description:
    "What a client sends to POST /event. Beyond this schema: names must not be repeated; the year is 0001 to 9999 also in UTC; jsonb can hold the metadata (no lone surrogates, numbers within numeric's range); nesting and size are within the documented limits.",
  type: 'object',
  required: required(CLIENT_FIELDS),
  additionalProperties: false,
  properties: properties(CLIENT_FIELDS, 'event'),
  $defs,
  examples: [
    { user_id: 42, timestamp: '2025-01-31T12:00:00Z', metadata: { page: '/pricing' } },
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
}

/** schemas/record.schema.json: the value of a Kafka record. */
export const recordSchema = {
  ...DIALECT,
  title: 'Record',
  description: `The value of a record in the topic: one JSON object, UTF-8. The API writes the fields in the order below, metadata last, without white space between them, timestamps in UTC with six digits. Other producers may use any order, omit event_id and received_at, and add fields, which the sink ignores.`,
  type: 'object',
  required: required(FIELDS),
  additionalProperties: true,
  properties: properties(FIELDS, 'record'),
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
      source: 'billing',
    },
  ],
}

function required(fields: readonly Field[]): string[] {
  return fields.filter(({ missing }) => missing === 'refused').map(({ name }) => name)
}

function properties(fields: readonly Field[], of: 'event' | 'record'): Record<string, object> {
  return Object.fromEntries(
    fields.map(({ name, kind, about, examples }) => [
      name,
      { description: about[of], ...kind.schema, examples: examples[of] },
    ]),
  )
}
