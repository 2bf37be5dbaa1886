import { collectProblems, ConfigError, integer, list, parseSettings, text } from '../platform/env.ts'
import type { KafkaConnection } from './client.ts'
import { kafkaSecurity, securitySettings } from './security.ts'
import { parseServers } from './servers.ts'
import type { TopicConfig } from './topic.ts'

/** The Kafka settings of both services. */
export const kafkaSettings = {
  KAFKA_BOOTSTRAP_SERVERS: list(
    '127.0.0.1:19092',
    "Kafka bootstrap brokers as `host:port` or `[IPv6]:port`, comma-separated; each may begin with Kafka's name of its protocol, such as `SASL_SSL://`",
  ),
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
  ...securitySettings,
}

interface KafkaTarget {
  connection: KafkaConnection
  topic: TopicConfig
}

/** @throws {ConfigError} that lists every mistake */
export function readKafkaConfig(env: NodeJS.ProcessEnv): KafkaTarget {
  const { values, problems } = parseSettings(kafkaSettings, env)
  const config = collectProblems(problems, () => kafkaConfig(values))
  if (problems.length > 0 || config === undefined) throw new ConfigError(problems)
  return config
}

type KafkaValues = { [K in keyof typeof kafkaSettings]: ReturnType<(typeof kafkaSettings)[K]['parse']> }

/** @throws {ConfigError} for invalid values and combinations of settings */
export function kafkaConfig(values: KafkaValues): KafkaTarget {
  const problems: string[] = []
  const { brokers, protocol } = parseServers(values.KAFKA_BOOTSTRAP_SERVERS, problems)
  if (!/^[\w.-]{1,249}$/.test(values.KAFKA_TOPIC)) {
    problems.push('KAFKA_TOPIC must be 1 to 249 letters, digits, dots, underscores or hyphens')
  }
  const { ssl, sasl } = kafkaSecurity(values, protocol, problems)
  if (problems.length > 0) throw new ConfigError(problems)
  return {
    connection: { brokers, ssl, sasl },
    topic: {
      name: values.KAFKA_TOPIC,
      partitions: values.KAFKA_TOPIC_PARTITIONS,
      replicationFactor: values.KAFKA_TOPIC_REPLICATION,
      retentionMs: values.KAFKA_TOPIC_RETENTION_HOURS * 3_600_000,
    },
  }
}
