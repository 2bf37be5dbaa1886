/** The JSON Schema of a CloudEvent that the API takes, made from the table of fields. */
import { fieldsFor } from '../../event/fields.ts'
import { NO_NUL, type UserIdType } from '../../event/kinds.ts'
import { ATTRIBUTES, BINARY_DATA, DATA_TYPE, SPECVERSION } from '../intake/cloud-event-attributes.ts'

/** Those media types of JSON that clients send; contentTypeOf() reads more spellings. */
const JSON_TYPE = '^[A-Za-z0-9.-]+/([A-Za-z0-9.+-]+\\+)?json(; ?charset=(utf-8|UTF-8))?$'

const ABOUT: Readonly<Record<string, string>> = {
  event_id:
    'The event_id if it is a UUID; else a UUID is made of it, `source`, `time` and the label of the key.',
  user_id: 'The user_id. Required unless `anonymousid` is there.',
}

/** Extensions beyond those that are listed may be there, but are not stored. */
export function cloudEventSchema(userIdType: UserIdType): object {
  const fields = new Map(fieldsFor(userIdType).map((field) => [field.name, field]))
  const attributes = ATTRIBUTES.map(({ name, field, isRequired }) => {
    const { schema } = fields.get(field)!.kind
    const own = field === 'event_id' ? { type: 'string', minLength: 1, pattern: NO_NUL } : schema
    const mayBeNull = !isRequired && field !== 'metadata'
    const description = ABOUT[field] ?? `The ${field}.`
    return [name, { description, ...(mayBeNull ? { anyOf: [own, { type: 'null' }] } : own) }]
  })
  return {
    title: 'CloudEvent',
    description:
      'A CloudEvent 1.0 in JSON (https://cloudevents.io). Attributes that are not listed are not stored.',
    type: 'object',
    required: [SPECVERSION, ...ATTRIBUTES.filter(({ isRequired }) => isRequired).map(({ name }) => name)],
    anyOf: ['subject', 'anonymousid'].map((name) => ({
      required: [name],
      properties: { [name]: { not: { type: 'null' } } },
    })),
    properties: {
      [SPECVERSION]: { const: '1.0' },
      [DATA_TYPE]: {
        description: 'A type of JSON in UTF-8, by default application/json.',
        anyOf: [{ type: 'string', pattern: JSON_TYPE }, { type: 'null' }],
      },
      [BINARY_DATA]: { description: 'Data that are not JSON cannot be stored.', type: 'null' },
      ...Object.fromEntries(attributes),
    },
  }
}
