import { databaseSettings, databaseTarget } from '../postgres/database-url.ts'
import { collectProblems, ConfigError, integer, oneOf, parseSettings, text } from '../platform/env.ts'
import type { KafkaConnection } from '../kafka/client.ts'
import { kafkaConfig, kafkaSettings } from '../kafka/settings.ts'
import type { TopicConfig } from '../kafka/topic.ts'
import { LOG_LEVELS } from '../platform/log.ts'
import { groupSetting, sinkGroupId } from '../kafka/sink-group.ts'

export const sinkSettings = {
  ...kafkaSettings,
  ...databaseSettings,
  KAFKA_GROUP_ID: groupSetting,
  KAFKA_SESSION_TIMEOUT_MS: integer(
    10_000,
    1_000,
    300_000,
    "How long a dead worker's partitions wait before another worker gets them; not below the brokers' `group.min.session.timeout.ms` (6 s by default)",
  ),
  FETCH_MIN_BYTES: integer(
    256 * 1024,
    1,
    64 * 1024 * 1024,
    'A fetch waits until this much has arrived, so that batches are large',
  ),
  FETCH_MAX_WAIT_MS: integer(
    250,
    1,
    10_000,
    'The longest wait of a fetch: most of the delay until an event is a row',
  ),
  FETCH_MAX_BYTES: integer(
    8 * 1024 * 1024,
    64 * 1024,
    256 * 1024 * 1024,
    'The most that one fetch returns; bounds memory',
  ),
  DATABASE_TIMEOUT_MS: integer(
    10_000,
    1_000,
    600_000,
    'PostgreSQL counts as down after this long without an answer',
  ),
  SINK_HOST: text('127.0.0.1', "Address of the sink's own HTTP server (health, metrics)"),
  SINK_PORT: integer(8001, 0, 65_535, "Port of the sink's own HTTP server"),
  SHUTDOWN_TIMEOUT_MS: integer(8_000, 100, 600_000, 'Time limit of a graceful shutdown'),
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
  database: { connectionString: string }
  /** Where that is, for messages. */
  databaseAddress: string
  databaseTimeoutMs: number
  host: string
  port: number
  shutdownTimeoutMs: number
  logLevel: string
  /** Variables that are ignored: for the log. */
  warnings: string[]
}

/** @throws {ConfigError} that lists every mistake */
export function readSinkConfig(env: NodeJS.ProcessEnv): SinkConfig {
  const { values, problems, warnings } = parseSettings(sinkSettings, env)
  if (values.FETCH_MIN_BYTES > values.FETCH_MAX_BYTES) {
    problems.push('FETCH_MIN_BYTES must not be more than FETCH_MAX_BYTES')
  }
  const kafka = collectProblems(problems, () => kafkaConfig(values))
  const target = collectProblems(problems, () => databaseTarget(env))
  if (problems.length > 0 || kafka === undefined || target === undefined) throw new ConfigError(problems)
  return {
    kafka: kafka.connection,
    topic: kafka.topic,
    groupId: sinkGroupId(kafka.topic.name, values.KAFKA_GROUP_ID),
    sessionTimeoutMs: values.KAFKA_SESSION_TIMEOUT_MS,
    minBytes: values.FETCH_MIN_BYTES,
    maxWaitMs: values.FETCH_MAX_WAIT_MS,
    maxBytes: values.FETCH_MAX_BYTES,
    database: { connectionString: target.url },
    databaseAddress: target.address,
    databaseTimeoutMs: values.DATABASE_TIMEOUT_MS,
    host: values.SINK_HOST,
    port: values.SINK_PORT,
    shutdownTimeoutMs: values.SHUTDOWN_TIMEOUT_MS,
    logLevel: values.LOG_LEVEL,
    warnings: [...warnings, ...target.warnings],
  }
}
