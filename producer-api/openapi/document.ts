/** The OpenAPI 3.1 document of the API, made from the JSON Schema files and the table of problems. */
import packageJson from '../../package.json' with { type: 'json' }
import eventSchema from '../../schemas/event.schema.json' with { type: 'json' }
import {
  MAX_BATCH_BODY_BYTES,
  MAX_BATCH_EVENTS,
  MAX_DEPTH,
  MAX_ENCODED_BATCH_BYTES,
  MAX_EVENT_BODY_BYTES,
  MAX_EVENT_BYTES,
} from '../../event/limits.ts'
import { problemResponses, schemas } from './components.ts'

/** Without an id, so that "try it" makes a new event each time. */
const EXAMPLE = {
  user_id: 42,
  timestamp: '2025-01-31T12:00:00Z',
  metadata: { page: '/pricing', referrer: 'https://example.com/' },
}
const EXAMPLE_LINE = JSON.stringify(EXAMPLE)
const EXAMPLE_ID = eventSchema.properties.event_id.examples[0]

const GZIP = 'A body may be compressed: Content-Encoding: gzip. Limits count inflated bytes.'
const RETRY =
  'To retry safely, make the event_id yourself and send the identical body again: an event that was stored counts once.'

/** The document; `GET /openapi.json` answers it as it is. */
export function openApiDocument(): object {
  return {
    openapi: '3.1.0',
    info: {
      title: 'Firehose',
      version: packageJson.version,
      license: { name: 'Apache License 2.0', identifier: packageJson.license },
      description: `Takes events and stores each of them exactly once in PostgreSQL. ${RETRY}`,
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
    components: { schemas, parameters: { RequestId: requestId }, responses: problemResponses },
  }
}

const requestId = {
  name: 'X-Request-Id',
  in: 'header',
  description: 'Returned and logged; made here when missing.',
  schema: { type: 'string' },
}

const parameters = [{ $ref: '#/components/parameters/RequestId' }]

/** References to the problem responses by status; `default` is everything that no route can rule out. */
function problems(statuses: string[]): object {
  const entries = [...statuses, 'default'].map((status) => [
    status,
    { $ref: `#/components/responses/${status}` },
  ])
  return Object.fromEntries(entries)
}

const EVENT_PROBLEMS = ['400', '408', '413', '415', '422', '503']

function postEvent(): object {
  const event = { schema: { $ref: '#/components/schemas/Event' } }
  return {
    tags: ['events'],
    operationId: 'postEvent',
    summary: 'Send one event',
    description: `Answers 202 once the event is on all in-sync replicas of the buffer. The event may have ${MAX_EVENT_BYTES} bytes and ${MAX_DEPTH} levels of nesting, the body ${MAX_EVENT_BODY_BYTES} bytes, unless configured otherwise. ${GZIP} ${RETRY}`,
    parameters,
    requestBody: {
      required: true,
      content: {
        'application/json': { ...event, example: EXAMPLE },
        'text/plain': {
          schema: { type: 'string', description: 'The same JSON: what navigator.sendBeacon sends.' },
          example: EXAMPLE_LINE,
        },
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
    operationId: 'postEvents',
    summary: `Send 1 to ${MAX_BATCH_EVENTS} events`,
    description: `All are accepted or none. The body may have ${MAX_BATCH_BODY_BYTES} bytes, its events ${MAX_ENCODED_BATCH_BYTES} bytes once encoded, unless configured otherwise. ${GZIP} ${RETRY}`,
    parameters,
    requestBody: {
      required: true,
      content: {
        'application/json': {
          schema: {
            type: 'array',
            minItems: 1,
            maxItems: MAX_BATCH_EVENTS,
            items: { $ref: '#/components/schemas/Event' },
          },
          example: [EXAMPLE, { ...EXAMPLE, user_id: 43 }],
        },
        'application/x-ndjson': {
          schema: { type: 'string', description: 'One event a line; blank lines do not count.' },
          example: `${EXAMPLE_LINE}\n${EXAMPLE_LINE}\n`,
        },
      },
    },
    responses: {
      202: {
        description: 'All events will be stored.',
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

function getLivez(): object {
  return operation('getLivez', 'Does the process answer?', {
    200: json('It does.', { $ref: '#/components/schemas/Status' }),
  })
}

function getReadyz(): object {
  return operation('getReadyz', 'Can it take events?', {
    200: json('Kafka is reachable and the buffer is below its limit.', {
      $ref: '#/components/schemas/Status',
    }),
    503: json('It cannot: reason says why.', { $ref: '#/components/schemas/Status' }),
  })
}

function getHealth(): object {
  return operation('getHealth', 'Figures for people', {
    200: json('The figures since the start.', { $ref: '#/components/schemas/Health' }),
  })
}

function getMetrics(): object {
  return operation('getMetrics', 'Figures for Prometheus', {
    200: {
      description: 'Text exposition format.',
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
