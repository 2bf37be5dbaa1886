/** The OpenAPI 3.1 document of the API, generated from the JSON Schema files and the table of problems. */
import packageJson from '../../package.json' with { type: 'json' }
import {
  MAX_BATCH_BODY_BYTES,
  MAX_BATCH_EVENTS,
  MAX_DEPTH,
  MAX_ENCODED_BATCH_BYTES,
  MAX_EVENT_BODY_BYTES,
  MAX_EVENT_BYTES,
} from '../../event/limits.ts'
import { CODING_NAMES } from '../http/decompress.ts'
import type { UserIdType } from '../../event/kinds.ts'
import { eventSchemas, EXAMPLE_ID, problemResponses, responseSchemas } from './components.ts'

/** Without event_id, so that "Try it out" creates a new event each time. */
const EXAMPLE = {
  user_id: 42,
  timestamp: '2025-01-31T12:00:00Z',
  metadata: { page: '/pricing', referrer: 'https://example.com/' },
}

const CLOUD_EVENT_EXAMPLE = {
  specversion: '1.0',
  id: 'A234-1234-1234',
  source: '/shop',
  type: 'com.example.checkout',
  time: '2025-01-31T12:00:00Z',
  subject: '42',
  data: { page: '/pricing' },
}
const CLOUD_EVENT = { $ref: '#/components/schemas/CloudEvent' }

const CLOUD_EVENTS =
  'CloudEvents 1.0 are taken in structured mode (`application/cloudevents+json`) and in binary mode: with the header `ce-specversion`, the attributes are `ce-` headers, and the body is the data, of a JSON content type. Data must be a JSON object. In the faults of a CloudEvent, pointers are into its JSON form, also in binary mode.'
const TYPES =
  'JSON may also be sent as `text/plain`, or without a content type, as `navigator.sendBeacon()` does.'
const CODINGS = `The body may be compressed (Content-Encoding: ${CODING_NAMES}). Limits apply to the decompressed body.`
const RETRY =
  'To retry safely, generate the event_id yourself and send the identical body again: the event is stored only once.'

/** The document that `GET /openapi.json` returns. */
export function openApiDocument(userIdType: UserIdType): object {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Firehose',
      version: packageJson.version,
      license: { name: 'Apache License 2.0', identifier: packageJson.license },
      description: `Accepts events and stores each of them in PostgreSQL exactly once. ${RETRY}`,
    },
    servers: [{ url: '/' }],
    tags: [{ name: 'events' }, { name: 'operations' }],
    paths: {
      '/event': { post: postEvent() },
      '/events': { post: postEvents() },
      '/livez': { get: getLivez() },
      '/readyz': { get: getReadyz() },
      '/health': { get: getHealth() },
      '/metrics': { get: getMetrics() },
    },
    components: {
      schemas: { ...eventSchemas(userIdType), ...responseSchemas },
      parameters: { RequestId: requestId, Prefer: prefer },
      securitySchemes,
      responses: problemResponses,
    },
  }
}

const securitySchemes = {
  bearer: { type: 'http', scheme: 'bearer', description: 'A key, or a token (JWT).' },
  apiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key', description: 'A key.' },
  queryKey: { type: 'apiKey', in: 'query', name: 'key', description: 'A browser key.' },
}

const requestId = {
  name: 'X-Request-Id',
  in: 'header',
  description: 'Returned and logged; generated if missing.',
  schema: { type: 'string' },
}

const prefer = {
  name: 'Prefer',
  in: 'header',
  description:
    'RFC 7240. With `handling=lenient`, the good events of a batch are accepted although others have faults.',
  schema: { type: 'string' },
}

const parameters = [{ $ref: '#/components/parameters/RequestId' }]

/** References to problem responses by status, including `default` for those that any route may return. */
function problems(statuses: string[]): object {
  const entries = [...statuses, 'default'].map((status) => [
    status,
    { $ref: `#/components/responses/${status}` },
  ])
  return Object.fromEntries(entries)
}

const EVENT_PROBLEMS = ['400', '401', '403', '408', '413', '415', '422', '429', '503']

/** Alternatives; whether one is needed depends on the installation. */
const SECURITY = [{ bearer: [] }, { apiKey: [] }, { queryKey: [] }, {}]

function postEvent(): object {
  const event = { schema: { $ref: '#/components/schemas/Event' } }
  return {
    tags: ['events'],
    security: SECURITY,
    operationId: 'postEvent',
    summary: 'Send one event',
    description: `Returns 202 once Kafka has the event on all in-sync replicas. Unless configured otherwise, the event may have up to ${MAX_EVENT_BYTES} bytes and ${MAX_DEPTH} levels of nesting, and the body up to ${MAX_EVENT_BODY_BYTES} bytes. ${TYPES} ${CLOUD_EVENTS} ${CODINGS} ${RETRY}`,
    parameters,
    requestBody: {
      required: true,
      content: {
        'application/json': { ...event, example: EXAMPLE },
        'application/cloudevents+json': { schema: CLOUD_EVENT, example: CLOUD_EVENT_EXAMPLE },
      },
    },
    responses: {
      202: {
        description: 'The event will be stored.',
        content: {
          'application/json': {
            schema: { $ref: '#/components/schemas/EventAccepted' },
            example: { status: 'accepted', event_id: EXAMPLE_ID },
          },
        },
      },
      ...problems(EVENT_PROBLEMS),
    },
  }
}

function postEvents(): object {
  return {
    tags: ['events'],
    security: SECURITY,
    operationId: 'postEvents',
    summary: `Send 1 to ${MAX_BATCH_EVENTS} events`,
    description: `Either all events are accepted or none, unless \`Prefer: handling=lenient\` is sent: then the good ones are accepted, \`event_ids\` has null for each of the others, and \`errors\` lists what is wrong with them. A batch without a good event, one that is not a JSON array or not UTF-8, and one with too many events are still refused. The body is a JSON array or, as \`application/x-ndjson\`, one event per line; blank lines are ignored. ${TYPES} ${CLOUD_EVENTS} A single one is a batch of one; several are sent in batched mode (\`application/cloudevents-batch+json\`). Unless configured otherwise, the body may have up to ${MAX_BATCH_BODY_BYTES} bytes, and the encoded events up to ${MAX_ENCODED_BATCH_BYTES} bytes. ${CODINGS} ${RETRY}`,
    parameters: [...parameters, { $ref: '#/components/parameters/Prefer' }],
    requestBody: {
      required: true,
      content: {
        'application/json': {
          schema: batchOf({ $ref: '#/components/schemas/Event' }),
          example: [EXAMPLE, { ...EXAMPLE, user_id: 43 }],
        },
        'application/cloudevents-batch+json': {
          schema: batchOf(CLOUD_EVENT),
          example: [CLOUD_EVENT_EXAMPLE, { ...CLOUD_EVENT_EXAMPLE, id: 'A234-1234-1235' }],
        },
        'application/cloudevents+json': { schema: CLOUD_EVENT, example: CLOUD_EVENT_EXAMPLE },
      },
    },
    responses: {
      202: {
        description: 'All events will be stored, or, if the batch was read leniently, those that have an id.',
        headers: {
          'Preference-Applied': {
            description: '`handling=lenient` if the batch was read leniently.',
            schema: { type: 'string' },
          },
        },
        content: {
          'application/json': {
            schema: { $ref: '#/components/schemas/EventsAccepted' },
            example: { status: 'accepted', count: 1, event_ids: [EXAMPLE_ID] },
          },
        },
      },
      ...problems(EVENT_PROBLEMS),
    },
  }
}

function batchOf(items: object): object {
  return { type: 'array', minItems: 1, maxItems: MAX_BATCH_EVENTS, items }
}

function getLivez(): object {
  return operation('getLivez', 'Liveness: the process is running', {
    200: json('The process is running.', { $ref: '#/components/schemas/Status' }),
  })
}

function getReadyz(): object {
  return operation('getReadyz', 'Readiness: the API can accept events', {
    200: json('Kafka is reachable and the buffer is below its limit.', {
      $ref: '#/components/schemas/Status',
    }),
    503: json('The API cannot accept events; see reason.', { $ref: '#/components/schemas/Status' }),
  })
}

function getHealth(): object {
  return operation('getHealth', 'Statistics as JSON', {
    200: json('Statistics since the start.', { $ref: '#/components/schemas/Health' }),
  })
}

function getMetrics(): object {
  return operation('getMetrics', 'Metrics for Prometheus', {
    200: {
      description: 'Prometheus text exposition format.',
      content: { 'text/plain': { schema: { type: 'string' } } },
    },
  })
}

function operation(operationId: string, summary: string, responses: object): object {
  return { tags: ['operations'], operationId, summary, responses: { ...responses, ...problems([]) } }
}

function json(description: string, schema: object): object {
  return { description, content: { 'application/json': { schema } } }
}
