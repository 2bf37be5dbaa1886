/** The reusable parts of the OpenAPI document: schemas and problem responses. */
import { FIELDS } from '../../event/fields.ts'
import { USER_ID_TYPES, type UserIdType } from '../../event/kinds.ts'
import { eventSchema, recordSchema } from '../../event/json-schema.ts'
import {
  PROBLEM_CONTENT_TYPE,
  PROBLEMS,
  problem,
  type ProblemExtensions,
  type ProblemKind,
} from '../http/problem.ts'
import { cloudEventSchema } from './cloud-event-schema.ts'

export const [EXAMPLE_ID] = FIELDS[0].examples.event
const uuid = { type: 'string', format: 'uuid' }
const count = { type: 'integer', minimum: 0 }
const idOrNull = { ...uuid, type: ['string', 'null'] }
const faults = {
  type: 'array',
  items: {
    type: 'object',
    required: ['pointer', 'detail'],
    properties: {
      pointer: { type: 'string', description: 'RFC 6901 JSON pointer into the body.' },
      detail: { type: 'string' },
    },
  },
}

/** The schemas of an event, a CloudEvent and a record. */
export function eventSchemas(userIdType: UserIdType): object {
  const event = eventSchema(userIdType)
  return {
    Event: component(event),
    Record: component(recordSchema(userIdType)),
    CloudEvent: withComponentRefs(cloudEventSchema(userIdType)),
    ...withComponentRefs(event.$defs),
  }
}

/** The schemas of responses. */
export const responseSchemas = {
  EventAccepted: {
    type: 'object',
    required: ['status', 'event_id'],
    properties: { status: { const: 'accepted' }, event_id: uuid },
  },
  EventsAccepted: {
    type: 'object',
    required: ['status', 'count', 'event_ids'],
    properties: {
      status: { const: 'accepted' },
      count,
      event_ids: {
        description: 'In the order in which the events were sent; null for an event that was refused.',
        type: 'array',
        items: idOrNull,
      },
      errors: {
        ...faults,
        description:
          'Only with `handling=lenient`: the faults of the refused events, at most 100. Each pointer begins with the index of the event.',
      },
      detail: { type: 'string', description: 'Says so if faults are not listed in `errors`.' },
    },
  },
  Problem: {
    description: 'RFC 9457 problem details.',
    type: 'object',
    required: ['type', 'title', 'status', 'detail'],
    properties: {
      type: { type: 'string', format: 'uri-reference', enum: kinds().map((kind) => `/problems/${kind}`) },
      title: { type: 'string' },
      status: { type: 'integer' },
      detail: { type: 'string' },
      errors: {
        ...faults,
        description:
          'With 422: all faults, at most 100. In a batch, each pointer begins with the index of the event.',
      },
      event_ids: {
        description:
          'With 503: the ids of all events, including generated ones; null for the faulty events of a lenient batch.',
        type: 'array',
        items: idOrNull,
      },
      outcome: {
        description:
          'With 503. not_accepted: the events are not stored and will not be; unknown: they may be stored.',
        enum: ['not_accepted', 'unknown'],
      },
    },
  },
  Status: {
    type: 'object',
    required: ['status'],
    properties: { status: { enum: ['ok', 'unavailable'] }, reason: { type: 'string' } },
  },
  Health: {
    type: 'object',
    properties: {
      status: { enum: ['ok', 'unavailable'] },
      reason: { type: 'string', description: 'Why it is unavailable.' },
      queue_size: { ...count, description: 'Events that Kafka has not acknowledged.' },
      queue_bytes: count,
      total_received: {
        ...count,
        description: 'Events; always the sum of total_accepted, all of total_rejected, and in_flight.',
      },
      total_accepted: { ...count, description: 'Events answered 202.' },
      total_rejected: {
        description: 'Rejected events by reason; a body that cannot be read as events counts as one.',
        type: 'object',
        additionalProperties: count,
      },
      in_flight: { ...count, description: 'Events of requests that have not been answered.' },
      user_id_type: { enum: USER_ID_TYPES, description: 'USER_ID_TYPE.' },
      access: {
        description: 'Who may send events, the key file, and the keys of tokens, if there are any.',
        type: 'object',
        required: ['anonymous'],
        properties: {
          anonymous: {
            enum: ['no', 'local', 'public'],
            description:
              'Whether a credential is needed; if not, whether the API is published on a loopback address.',
          },
          keys: { type: 'object' },
          tokens: { type: 'object' },
        },
      },
      uptime: { type: 'number', description: 'Seconds since the start.' },
    },
  },
}

/** Problem responses by status; `default` for those that any route may return. */
export const problemResponses = {
  400: response(['not-json', 'not-utf8', 'bad-request']),
  401: response(['unauthorized'], {}, challenge()),
  403: response(['forbidden', 'foreign-origin']),
  408: response(['request-timeout']),
  413: response(['too-large']),
  415: response(['unsupported-media-type']),
  422: response(['invalid-event'], {
    errors: [{ pointer: '/user_id', detail: 'user_id is missing: it must be an integer.' }],
  }),
  429: response(['rate-limited'], {}, { ...retryAfter(), ...rateLimit() }),
  503: response(['not-accepted', 'outcome-unknown'], { eventIds: [EXAMPLE_ID] }, retryAfter()),
  default: response(['not-found', 'method-not-allowed', 'headers-too-large', 'internal'], {}, allow()),
}

function challenge(): object {
  return { 'WWW-Authenticate': { description: 'RFC 6750.', schema: { type: 'string' } } }
}

function kinds(): ProblemKind[] {
  // Object.keys() returns string[]: an object may have more keys than its type. This constant does not.
  return Object.keys(PROBLEMS).filter((kind): kind is ProblemKind => kind in PROBLEMS)
}

function response(of: ProblemKind[], extensions: ProblemExtensions = {}, headers: object = {}): object {
  const examples = of.map((kind) => [
    kind,
    { value: problem(kind, 'A human-readable explanation.', extensions) },
  ])
  return {
    description: `${of.map((kind) => PROBLEMS[kind].title).join('. Or: ')}.`,
    headers,
    content: {
      [PROBLEM_CONTENT_TYPE]: {
        schema: { $ref: '#/components/schemas/Problem' },
        examples: Object.fromEntries(examples),
      },
    },
  }
}

function retryAfter(): object {
  return { 'Retry-After': { description: 'Seconds to wait.', schema: { type: 'integer' } } }
}

/** draft-ietf-httpapi-ratelimit-headers. */
function rateLimit(): object {
  const schema = { type: 'string' }
  return {
    'RateLimit-Policy': {
      description: 'The limit, such as `"key";q=500;w=1;qu="events"`: 500 per second.',
      schema,
    },
    RateLimit: { description: 'What is left of it, such as `"key";r=0;t=3`: nothing for 3 seconds.', schema },
  }
}

function allow(): object {
  return { Allow: { description: 'With 405: the methods that the path allows.', schema: { type: 'string' } } }
}

/** A schema without what the document has once: its dialect and its definitions. */
function component(schema: { $schema: string; $defs: object }): object {
  const { $schema: _, $defs: __, ...rest } = schema
  return withComponentRefs(rest)
}

/** References to definitions as references to the components of the document. */
function withComponentRefs<T>(schema: T): T {
  if (typeof schema !== 'object' || schema === null || JSON.isRawJSON(schema)) return schema
  if (Array.isArray(schema)) return schema.map((item: unknown) => withComponentRefs(item)) as T
  const entries = Object.entries(schema).map(([name, value]: [string, unknown]) => [
    name,
    name === '$ref' && typeof value === 'string'
      ? value.replace('#/$defs/', '#/components/schemas/')
      : withComponentRefs(value),
  ])
  return Object.fromEntries(entries) as T
}
