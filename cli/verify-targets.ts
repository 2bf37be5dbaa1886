import { databaseTarget } from '../postgres/database-url.ts'
import { collectProblems, ConfigError, parseSettings } from '../platform/env.ts'
import { kafkaConfig, kafkaSettings } from '../kafka/settings.ts'
import { groupSetting, sinkGroupId } from '../kafka/sink-group.ts'
import { deadLetterRetentionSetting, retentionSetting } from '../postgres/partitions/settings.ts'
import type { Targets } from '../tools/verify/until-stored.ts'
import { warn } from './command.ts'
import { whereAsked } from './command-settings.ts'

const SETTINGS = {
  ...kafkaSettings,
  KAFKA_GROUP_ID: groupSetting,
  EVENTS_RETENTION_DAYS: retentionSetting,
  DEAD_LETTERS_RETENTION_DAYS: deadLetterRetentionSetting,
}

/** What the environment says of Kafka and PostgreSQL. @throws {ConfigError} that lists every mistake */
export function targetsOf(env: NodeJS.ProcessEnv): Targets & { asked: string } {
  const { values, problems } = parseSettings(SETTINGS, env)
  const kafka = collectProblems(problems, () => kafkaConfig(values))
  const database = collectProblems(problems, () => databaseTarget(env))
  if (problems.length > 0 || kafka === undefined || database === undefined) throw new ConfigError(problems)
  warn(database.warnings)
  const { connection, topic } = kafka
  return {
    asked: whereAsked(database.address, connection.brokers),
    databaseUrl: database.url,
    kafkaBootstrapServers: connection.brokers.join(','),
    kafkaAccess: {
      ...(connection.ssl === undefined ? {} : { ssl: connection.ssl }),
      ...(connection.sasl === undefined ? {} : { sasl: connection.sasl }),
    },
    topic: topic.name,
    groupId: sinkGroupId(topic.name, values.KAFKA_GROUP_ID),
    retentionDays: values.EVENTS_RETENTION_DAYS,
    deadLetterDays: values.DEAD_LETTERS_RETENTION_DAYS,
  }
}
