import type { CorsOrigins } from './http/cors.ts'
import { MAX_BATCH_BODY_BYTES, MAX_ENCODED_BATCH_BYTES, MAX_EVENT_BYTES } from '../event/limits.ts'
import { collectProblems, ConfigError, integer, list, oneOf, parseSettings, text } from '../platform/env.ts'
import { type KafkaConnection, kafkaConfig, kafkaSettings, type TopicConfig } from '../kafka/client.ts'
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
    'Maximum number of connections; further ones are closed at once. A connection takes about 12 KiB while idle and up to 30 KiB while it sends headers. Keep it below `ulimit -n`',
  ),
  DELIVERY_TIMEOUT_MS: integer(
    10_000,
    100,
    600_000,
    'How long a request may wait for Kafka before the API answers 503',
  ),
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
  CORS_ORIGINS: list(
    '',
    'Origins whose pages may send events: `*`, or a comma-separated list such as `https://example.com`',
  ),
  LOG_LEVEL: oneOf(LOG_LEVELS, 'info', `Minimum level to log: ${LOG_LEVELS.join(', ')}`),
  SHUTDOWN_TIMEOUT_MS: integer(20_000, 1_000, 600_000, 'Longest drain after SIGTERM; then the process exits'),
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
  maxEventBytes: number
  maxBodyBytes: number
  requestTimeoutMs: number
  maxConnections: number
  /** Either `*` or a list of origins; empty disables CORS. */
  corsOrigins: CorsOrigins
  logLevel: (typeof LOG_LEVELS)[number]
  shutdownTimeoutMs: number
}

/** @throws {ConfigError} lists every mistake at once */
export function readApiConfig(env: NodeJS.ProcessEnv): ApiConfig {
  const { values, problems } = parseSettings(apiSettings, env)
  if (values.LINGER_MS >= values.DELIVERY_TIMEOUT_MS) {
    problems.push('LINGER_MS must be less than DELIVERY_TIMEOUT_MS')
  }
  if (values.SHUTDOWN_TIMEOUT_MS <= values.DELIVERY_TIMEOUT_MS) {
    problems.push(
      'SHUTDOWN_TIMEOUT_MS must be greater than DELIVERY_TIMEOUT_MS, or requests may go unanswered at shutdown',
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
    if (!isOrigin(origin)) {
      problems.push(`CORS_ORIGINS must contain origins such as https://example.com, not "${origin}"`)
    }
  }
  const kafka = collectProblems(problems, () => kafkaConfig(values))
  if (problems.length > 0 || kafka === undefined) throw new ConfigError(problems)
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
    maxEventBytes: values.MAX_EVENT_BYTES,
    maxBodyBytes: values.MAX_BODY_BYTES,
    requestTimeoutMs: values.REQUEST_TIMEOUT_MS,
    maxConnections: values.MAX_CONNECTIONS,
    corsOrigins,
    logLevel: values.LOG_LEVEL,
    shutdownTimeoutMs: values.SHUTDOWN_TIMEOUT_MS,
  }
}

/** The settings section of `--help`. */
export function settingsHelp(): string {
  const lines = Object.entries(apiSettings).map(([name, setting]) => {
    const fallback = setting.defaultText === '' ? '' : ` (default ${setting.defaultText})`
    return `  ${name}\n      ${setting.doc}${fallback}`
  })
  return `Settings, as environment variables:\n${lines.join('\n')}\n`
}

/** True for the form that browsers send in the Origin header: no path, no trailing slash. */
function isOrigin(item: string): boolean {
  return URL.canParse(item) && new URL(item).origin === item
}
