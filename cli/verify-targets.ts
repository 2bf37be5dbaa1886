import { databaseUrl } from '../postgres/database-url.ts'
import { readSettings } from '../platform/env.ts'
import { kafkaConfig, kafkaSettings } from '../kafka/settings.ts'
import { groupSetting, sinkGroupId } from '../kafka/sink-group.ts'
import type { Targets } from '../tools/verify/until-stored.ts'

/** What the environment says of Kafka and PostgreSQL. @throws {ConfigError} */
export function targetsOf(env: NodeJS.ProcessEnv): Targets {
  const settings = readSettings({ ...kafkaSettings, KAFKA_GROUP_ID: groupSetting }, env)
  const { connection, topic } = kafkaConfig(settings)
  return {
    databaseUrl: databaseUrl(env),
    kafkaBootstrapServers: connection.brokers.join(','),
    kafkaAccess: {
      ...(connection.ssl === undefined ? {} : { ssl: connection.ssl }),
      ...(connection.sasl === undefined ? {} : { sasl: connection.sasl }),
    },
    topic: topic.name,
    groupId: sinkGroupId(topic.name, settings.KAFKA_GROUP_ID),
  }
}
