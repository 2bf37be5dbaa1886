import { readFileSync } from 'node:fs'
import { type Admin, type ISocketFactory, Kafka, type KafkaConfig, logLevel, type SASLOptions } from 'kafkajs'
import { boolean, ConfigError, integer, list, oneOf, optionalText, secret, text } from '../platform/env.ts'
import { kafkaErrorType } from './errors.ts'
import type { Logger } from '../platform/log.ts'
import './codecs/codecs.ts'
import './patches.ts'

/** The Kafka settings of both services. */
export const kafkaSettings = {
  KAFKA_BOOTSTRAP_SERVERS: list('127.0.0.1:19092', 'Kafka bootstrap brokers as `host:port`, comma-separated'),
  KAFKA_TOPIC: text('events', 'Topic of the events; created if missing'),
  KAFKA_TOPIC_PARTITIONS: integer(12, 1, 10_000, 'Number of partitions when the topic is created'),
  KAFKA_TOPIC_REPLICATION: integer(
    -1,
    -1,
    100,
    "Replication factor when the topic is created; -1 is the broker's default",
  ),
  KAFKA_TOPIC_RETENTION_HOURS: integer(
    168,
    1,
    87_600,
    'Retention when the topic is created: the longest outage of PostgreSQL without data loss',
  ),
  KAFKA_SSL: boolean(false, 'Connect to Kafka with TLS'),
  KAFKA_SSL_CA_FILE: optionalText('PEM file of the certificate authority, unless it is a public one'),
  KAFKA_SASL_MECHANISM: oneOf(['none', 'plain', 'scram-sha-256', 'scram-sha-512'], 'none', 'SASL mechanism'),
  KAFKA_SASL_USERNAME: optionalText('SASL user'),
  KAFKA_SASL_PASSWORD: secret('SASL password'),
}

export interface KafkaConnection {
  brokers: string[]
  ssl: KafkaConfig['ssl']
  sasl: SASLOptions | undefined
}

export interface TopicConfig {
  name: string
  partitions: number
  replicationFactor: number
  retentionMs: number
}

type KafkaValues = { [K in keyof typeof kafkaSettings]: ReturnType<(typeof kafkaSettings)[K]['parse']> }

/** @throws {ConfigError} for invalid values and combinations of settings */
export function kafkaConfig(values: KafkaValues): { connection: KafkaConnection; topic: TopicConfig } {
  const problems: string[] = []
  if (values.KAFKA_BOOTSTRAP_SERVERS.length === 0) problems.push('KAFKA_BOOTSTRAP_SERVERS must name a broker')
  for (const broker of values.KAFKA_BOOTSTRAP_SERVERS) {
    if (!/^.+:\d{1,5}$/.test(broker))
      problems.push(`KAFKA_BOOTSTRAP_SERVERS must be host:port, not "${broker}"`)
  }
  if (!/^[\w.-]{1,249}$/.test(values.KAFKA_TOPIC)) {
    problems.push('KAFKA_TOPIC must be 1 to 249 letters, digits, dots, underscores or hyphens')
  }
  const hasUser = values.KAFKA_SASL_USERNAME !== undefined && values.KAFKA_SASL_PASSWORD !== undefined
  if (values.KAFKA_SASL_MECHANISM !== 'none' && !hasUser) {
    problems.push('KAFKA_SASL_MECHANISM needs KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD')
  }
  if (values.KAFKA_SASL_MECHANISM === 'none' && (values.KAFKA_SASL_USERNAME ?? values.KAFKA_SASL_PASSWORD)) {
    problems.push('KAFKA_SASL_USERNAME and KAFKA_SASL_PASSWORD need KAFKA_SASL_MECHANISM')
  }
  if (!values.KAFKA_SSL && values.KAFKA_SSL_CA_FILE !== undefined) {
    problems.push('KAFKA_SSL_CA_FILE needs KAFKA_SSL=true')
  }
  let ssl: KafkaConfig['ssl'] = values.KAFKA_SSL
  if (values.KAFKA_SSL && values.KAFKA_SSL_CA_FILE !== undefined) {
    try {
      ssl = { ca: [readFileSync(values.KAFKA_SSL_CA_FILE, 'utf8')] }
    } catch {
      problems.push(`KAFKA_SSL_CA_FILE cannot be read: ${values.KAFKA_SSL_CA_FILE}`)
    }
  }
  if (problems.length > 0) throw new ConfigError(problems)
  const sasl =
    values.KAFKA_SASL_MECHANISM === 'none'
      ? undefined
      : ({
          mechanism: values.KAFKA_SASL_MECHANISM,
          username: values.KAFKA_SASL_USERNAME,
          password: values.KAFKA_SASL_PASSWORD,
        } as SASLOptions)
  return {
    connection: { brokers: values.KAFKA_BOOTSTRAP_SERVERS, ssl, sasl },
    topic: {
      name: values.KAFKA_TOPIC,
      partitions: values.KAFKA_TOPIC_PARTITIONS,
      replicationFactor: values.KAFKA_TOPIC_REPLICATION,
      retentionMs: values.KAFKA_TOPIC_RETENTION_HOURS * 3_600_000,
    },
  }
}

/**
 * Creates a kafkajs instance that writes to our log. Use one for each producer or consumer: kafkajs shares offset state
 * between the consumers of one instance. Calls fail within seconds, so that the caller decides how long to retry.
 */
export function createKafka(
  connection: KafkaConnection,
  clientId: string,
  logger: Logger,
  socketFactory?: ISocketFactory,
): Kafka {
  return new Kafka({
    clientId,
    brokers: connection.brokers,
    ...(connection.ssl === undefined ? {} : { ssl: connection.ssl }),
    ...(connection.sasl === undefined ? {} : { sasl: connection.sasl }),
    ...(socketFactory === undefined ? {} : { socketFactory }),
    connectionTimeout: 3_000,
    requestTimeout: 6_000,
    enforceRequestTimeout: true,
    retry: { retries: 2, initialRetryTime: 100, maxRetryTime: 1_000 },
    logLevel: logger.isLevelEnabled('trace') ? logLevel.DEBUG : logLevel.WARN,
    logCreator: () => logThrough(logger.child({ component: 'kafkajs' })),
  })
}

/** Logs at debug level: kafkajs writes several lines for each attempt to connect, and our code logs what matters. */
function logThrough(logger: Logger) {
  return ({
    level,
    log,
  }: {
    level: logLevel
    log: { message: string; error?: unknown; broker?: unknown }
  }): void => {
    const fields = { broker: log.broker, error: log.error }
    if (level <= logLevel.WARN) logger.debug(fields, log.message)
    else logger.trace(fields, log.message)
  }
}

/**
 * Creates the topic if it is missing. It is never compacted: every record must be kept.
 *
 * @returns true if the topic was created by this call
 */
export async function createTopicIfMissing(kafka: Kafka, topic: TopicConfig): Promise<boolean> {
  const admin = kafka.admin()
  try {
    await admin.connect()
    if (await topicExists(admin, topic.name)) return false
    return await admin.createTopics({
      waitForLeaders: true,
      topics: [
        {
          topic: topic.name,
          numPartitions: topic.partitions,
          replicationFactor: topic.replicationFactor,
          configEntries: [
            { name: 'cleanup.policy', value: 'delete' },
            { name: 'retention.ms', value: String(topic.retentionMs) },
          ],
        },
      ],
    })
  } finally {
    await admin.disconnect()
  }
}

/** Requests the metadata of this topic only: listing all topics fails if a partition of any topic has no leader. */
async function topicExists(admin: Admin, name: string): Promise<boolean> {
  try {
    await admin.fetchTopicMetadata({ topics: [name] })
    return true
  } catch (error) {
    const type = kafkaErrorType(error)
    if (type === 'UNKNOWN_TOPIC_OR_PARTITION') return false
    if (type === 'LEADER_NOT_AVAILABLE') return true
    throw error
  }
}
