import { isOriginRule } from '../access/origins.ts'
import type { HeadLimits } from './http/head-limits.ts'
import { clientConfig, clientSettings } from './client-settings.ts'
import type { ClientCapture } from './http/client-facts.ts'
import type { CorsOrigins } from './http/cors.ts'
import { type FrontDoorConfig, frontDoorConfig, frontDoorSettings } from './front-door/settings.ts'
import type { UserIdType } from '../event/kinds.ts'
import { userIdTypeSetting } from '../event/user-id-setting.ts'
import { MAX_BATCH_BODY_BYTES, MAX_ENCODED_BATCH_BYTES, MAX_EVENT_BYTES } from '../event/limits.ts'
import {
  collectProblems,
  ConfigError,
  integer,
  list,
  oneOf,
  optionalInteger,
  parseSettings,
  text,
} from '../platform/env.ts'
import type { KafkaConnection } from '../kafka/client.ts'
import { kafkaConfig, kafkaSettings } from '../kafka/settings.ts'
import type { TopicConfig } from '../kafka/topic.ts'
import { LOG_LEVELS } from '../platform/log.ts'

const MIB = 1024 * 1024

/** Every setting of the API. The table in the README is generated from it. */
export const apiSettings = {
  HOST: text('127.0.0.1', 'Address to listen on; `0.0.0.0` for all interfaces'),
  PORT: integer(8000, 0, 65_535, 'Port to listen on; 0 picks any free port'),
  ...kafkaSettings,
  LINGER_MS: integer(5, 0, 1_000, 'How long the first event of a Kafka batch waits for more'),
  BATCH_MAX_BYTES: integer(
    512 * 1024,
    1_024,
    MAX_ENCODED_BATCH_BYTES,
    'Largest Kafka batch; must be below the `max.message.bytes` of the topic',
  ),
  BATCH_MAX_EVENTS: integer(500, 1, 10_000, 'Maximum number of events in a Kafka batch'),
  BUFFER_MAX_BYTES: integer(
    128 * MIB,
    4 * MIB,
    16_384 * MIB,
    'Memory for events that Kafka has not acknowledged, including 16 KiB for each waiting request. The same amount again is allowed for requests being read, and half as much for requests queued on their connection. When it is full, the API answers 503',
  ),
  MAX_CONNECTIONS: integer(
    16_000,
    1,
    1_000_000,
    'Maximum number of connections; further ones are closed at once. A connection takes about 12 KiB while idle and up to 46 KiB while it sends headers. Keep it below `ulimit -n`',
  ),
  DELIVERY_TIMEOUT_MS: integer(
    10_000,
    100,
    600_000,
    'How long a request may wait for Kafka before the API answers 503',
  ),
  USER_ID_TYPE: userIdTypeSetting,
  MAX_EVENT_BYTES: integer(MAX_EVENT_BYTES, 256, MAX_EVENT_BYTES, 'Largest event'),
  MAX_BODY_BYTES: integer(
    MAX_BATCH_BODY_BYTES,
    1_024,
    16 * MIB,
    `Largest body of \`POST /events\`, decompressed; its encoded events must fit in ${MAX_ENCODED_BATCH_BYTES} bytes`,
  ),
  REQUEST_TIMEOUT_MS: integer(
    30_000,
    100,
    600_000,
    'How long a client may take to send a request before the API answers 408',
  ),
  KEEP_ALIVE_TIMEOUT_MS: integer(
    75_000,
    1_000,
    3_600_000,
    'How long an idle connection stays open. It must be longer than the idle timeout of a load balancer in front (usually 60 s), which would otherwise send a request on a connection that is being closed',
  ),
  MAX_HEADERS: integer(
    100,
    10,
    1_000,
    'Maximum number of headers in a request; with more, the API answers 431',
  ),
  MAX_HEADER_BYTES: integer(
    16 * 1024,
    1_024,
    MIB,
    'Maximum size of the URL and the headers of a request; above it, the API answers 431',
  ),
  CORS_ORIGINS: list(
    '',
    'Origins whose pages may send events: `*`, or a comma-separated list such as `https://example.com`, `https://*.example.com` (any subdomain) or `capacitor://localhost` (`null` and `file://` for pages in sandboxes and files). With a list, pages of other origins get 403',
  ),
  ...frontDoorSettings,
  ...clientSettings,
  OPS_PORT: optionalInteger(
    0,
    65_535,
    'Port for `/health`, `/metrics`, `/docs` and `/openapi.json`, which are then no longer on `PORT`; 0 picks any free port. By default all are on `PORT`',
  ),
  LOG_LEVEL: oneOf(LOG_LEVELS, 'info', `Minimum level to log: ${LOG_LEVELS.join(', ')}`),
  SHUTDOWN_DELAY_MS: integer(
    0,
    0,
    600_000,
    'How long the API still serves requests after SIGTERM, while `/readyz` already says no: until a load balancer has noticed',
  ),
  SHUTDOWN_TIMEOUT_MS: integer(
    20_000,
    1_000,
    600_000,
    'Longest shutdown after SIGTERM, with its delay; then the process exits',
  ),
}

export interface ApiConfig {
  host: string
  port: number
  kafka: KafkaConnection
  topic: TopicConfig
  batcher: {
    lingerMs: number
    maxBytes: number
    maxEvents: number
    maxBufferBytes: number
    deliveryTimeoutMs: number
  }
  userIdType: UserIdType
  maxEventBytes: number
  maxBodyBytes: number
  requestTimeoutMs: number
  keepAliveMs: number
  maxConnections: number
  headLimits: HeadLimits
  /** Either `*` or a list of origins; empty disables CORS. */
  corsOrigins: CorsOrigins
  frontDoor: FrontDoorConfig
  client: ClientCapture
  /** Undefined: health, metrics and documentation are on `port`. */
  opsPort: number | undefined
  logLevel: (typeof LOG_LEVELS)[number]
  shutdownDelayMs: number
  shutdownTimeoutMs: number
  /** Variables that are ignored: for the log. */
  warnings: string[]
}

/** @throws {ConfigError} lists every mistake at once */
export function readApiConfig(env: NodeJS.ProcessEnv): ApiConfig {
  const { values, problems, warnings } = parseSettings(apiSettings, env)
  if (values.LINGER_MS >= values.DELIVERY_TIMEOUT_MS) {
    problems.push('LINGER_MS must be less than DELIVERY_TIMEOUT_MS')
  }
  if (values.SHUTDOWN_TIMEOUT_MS <= values.SHUTDOWN_DELAY_MS + values.DELIVERY_TIMEOUT_MS) {
    problems.push(
      'SHUTDOWN_TIMEOUT_MS must be greater than SHUTDOWN_DELAY_MS and DELIVERY_TIMEOUT_MS together, or requests may go unanswered at shutdown',
    )
  }
  if (values.MAX_BODY_BYTES < values.MAX_EVENT_BYTES) {
    problems.push('MAX_BODY_BYTES must be at least MAX_EVENT_BYTES')
  }
  const corsOrigins = values.CORS_ORIGINS.includes('*') ? '*' : values.CORS_ORIGINS
  if (corsOrigins === '*' && values.CORS_ORIGINS.length > 1) {
    problems.push('CORS_ORIGINS must be either * or a list')
  }
  for (const origin of corsOrigins === '*' ? [] : corsOrigins) {
    if (!isOriginRule(origin)) {
      problems.push(
        `CORS_ORIGINS must contain origins such as https://example.com or https://*.example.com, not "${origin}"`,
      )
    }
  }
  const client = collectProblems(problems, () => clientConfig(values))
  const frontDoor = collectProblems(problems, () => frontDoorConfig(values))
  const kafka = collectProblems(problems, () => kafkaConfig(values))
  if (problems.length > 0 || client === undefined || kafka === undefined || frontDoor === undefined)
    throw new ConfigError(problems)
  return {
    host: values.HOST,
    port: values.PORT,
    kafka: kafka.connection,
    topic: kafka.topic,
    batcher: {
      lingerMs: values.LINGER_MS,
      maxBytes: values.BATCH_MAX_BYTES,
      maxEvents: values.BATCH_MAX_EVENTS,
      maxBufferBytes: values.BUFFER_MAX_BYTES,
      deliveryTimeoutMs: values.DELIVERY_TIMEOUT_MS,
    },
    userIdType: values.USER_ID_TYPE,
    maxEventBytes: values.MAX_EVENT_BYTES,
    maxBodyBytes: values.MAX_BODY_BYTES,
    requestTimeoutMs: values.REQUEST_TIMEOUT_MS,
    keepAliveMs: values.KEEP_ALIVE_TIMEOUT_MS,
    maxConnections: values.MAX_CONNECTIONS,
    headLimits: { maxHeaders: values.MAX_HEADERS, maxHeaderBytes: values.MAX_HEADER_BYTES },
    corsOrigins,
    frontDoor,
    client,
    opsPort: values.OPS_PORT,
    logLevel: values.LOG_LEVEL,
    shutdownDelayMs: values.SHUTDOWN_DELAY_MS,
    shutdownTimeoutMs: values.SHUTDOWN_TIMEOUT_MS,
    warnings,
  }
}

/** The settings section of `--help`. */
export function settingsHelp(): string {
  const lines = Object.entries(apiSettings).map(([name, setting]) => {
    const fallback = setting.defaultText === '' ? '' : ` (default ${setting.defaultText})`
    const file = setting.secret ? `; or the file that ${name}_FILE names` : ''
    return `  ${name}\n      ${setting.doc}${file}${fallback}`
  })
  return `Settings, as environment variables:\n${lines.join('\n')}\n`
}
