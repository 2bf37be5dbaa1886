import type { ClientConfig } from 'pg'
import { ConfigError, integer, oneOf, optionalText, readSettings, secret, text } from '../runtime/env.ts'
import {
  type KafkaConnection,
  kafkaConfig,
  kafkaSettings,
  type TopicConfig,
} from '../runtime/kafka-client.ts'
import { LOG_LEVELS } from '../runtime/log.ts'

/** The database that `npm start` brings up. */
export const EMBEDDED_DATABASE_URL = 'postgresql://firehose:firehose@127.0.0.1:15432/firehose'

export const databaseSettings = {
  DATABASE_URL: secret(`PostgreSQL, with \`sslmode\`; without it \`PG*\`, else the one of \`npm start\``),
  PGHOST: optionalText('With the other `PG*` variables of libpq, instead of DATABASE_URL'),
}

export const sinkSettings = {
  ...kafkaSettings,
  ...databaseSettings,
  KAFKA_GROUP_ID: text('firehose-sink', 'Consumer group; all sink workers of a topic share it'),
  KAFKA_SESSION_TIMEOUT_MS: integer(
    10_000,
    1_000,
    300_000,
    "How long a dead worker's partitions wait for another; brokers take no less than their `group.min.session.timeout.ms` (6 s by default)",
  ),
  FETCH_MIN_BYTES: integer(
    256 * 1024,
    1,
    64 * 1024 * 1024,
    'A fetch waits for this much, so that batches are large',
  ),
  FETCH_MAX_WAIT_MS: integer(250, 1, 10_000, 'but no longer than this: most of the delay to the row'),
  FETCH_MAX_BYTES: integer(
    8 * 1024 * 1024,
    64 * 1024,
    256 * 1024 * 1024,
    'Most that one fetch brings: bounds memory',
  ),
  DATABASE_TIMEOUT_MS: integer(10_000, 1_000, 600_000, 'PostgreSQL silent for so long counts as down'),
  SINK_HOST: text('127.0.0.1', "Address of the sink's own HTTP server (health, metrics)"),
  SINK_PORT: integer(8001, 0, 65_535, 'and its port'),
  SHUTDOWN_TIMEOUT_MS: integer(8_000, 100, 600_000, 'Limit of an orderly end'),
  LOG_LEVEL: oneOf(LOG_LEVELS, 'info', `One of ${LOG_LEVELS.join(', ')}`),
}

export interface SinkConfig {
  kafka: KafkaConnection
  topic: TopicConfig
  groupId: string
  sessionTimeoutMs: number
  minBytes: number
  maxWaitMs: number
  maxBytes: number
  database: ClientConfig
  databaseTimeoutMs: number
  host: string
  port: number
  shutdownTimeoutMs: number
  logLevel: string
}

/** @throws {ConfigError} with every mistake */
export function readSinkConfig(env: NodeJS.ProcessEnv): SinkConfig {
  const values = readSettings(sinkSettings, env)
  const { connection, topic } = kafkaConfig(values)
  return {
    kafka: connection,
    topic,
    groupId: values.KAFKA_GROUP_ID,
    sessionTimeoutMs: values.KAFKA_SESSION_TIMEOUT_MS,
    minBytes: values.FETCH_MIN_BYTES,
    maxWaitMs: values.FETCH_MAX_WAIT_MS,
    maxBytes: values.FETCH_MAX_BYTES,
    database: { connectionString: databaseUrl(values) },
    databaseTimeoutMs: values.DATABASE_TIMEOUT_MS,
    host: values.SINK_HOST,
    port: values.SINK_PORT,
    shutdownTimeoutMs: values.SHUTDOWN_TIMEOUT_MS,
    logLevel: values.LOG_LEVEL,
  }
}

/** The URL; an empty one lets the driver read `PG*`. */
export function databaseUrl(values: {
  DATABASE_URL: string | undefined
  PGHOST: string | undefined
}): string {
  if (values.DATABASE_URL === undefined) return values.PGHOST === undefined ? EMBEDDED_DATABASE_URL : ''
  if (!URL.canParse(values.DATABASE_URL) || !/^postgres(ql)?:/.test(values.DATABASE_URL)) {
    throw new ConfigError(['DATABASE_URL must be postgresql://user:password@host:port/database'])
  }
  return values.DATABASE_URL
}
