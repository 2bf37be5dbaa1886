import { readKafkaConfig } from '../kafka/settings.ts'
import {
  collectProblems,
  ConfigError,
  integer,
  oneOf,
  optionalDuration,
  parseSettings,
  text,
} from '../platform/env.ts'
import { LOG_LEVELS } from '../platform/log.ts'
import { databaseSettings, databaseTarget } from '../postgres/database-url.ts'
import type { PartitionUnit } from '../postgres/partitions/ranges.ts'
import {
  deadLetterRetentionSetting,
  layoutSettings,
  type Partitioning,
  retentionSetting,
} from '../postgres/partitions/settings.ts'
import type { Clocks } from './clock-guard.ts'
import type { Policy } from './maintenance.ts'

/** How often the service runs by default: leaves are made two weeks or two days ahead, so nothing is urgent. */
const EVERY_MS: Readonly<Record<PartitionUnit, number>> = { day: 3_600_000, hour: 600_000 }

export const maintainSettings = {
  ...databaseSettings,
  ...layoutSettings,
  EVENTS_RETENTION_DAYS: retentionSetting,
  DEAD_LETTERS_RETENTION_DAYS: deadLetterRetentionSetting,
  MAINTAIN_EVERY: optionalDuration(
    1_000,
    86_400_000,
    'How often the service `firehose maintain --every` works, such as `10m`; by default every hour, with partitions of hours every ten minutes',
  ),
  MAINTAIN_HOST: text('127.0.0.1', 'Address of the HTTP server of that service (health, metrics)'),
  MAINTAIN_PORT: integer(8003, 0, 65_535, 'Port of the HTTP server of that service'),
  LOG_LEVEL: oneOf(LOG_LEVELS, 'info', `One of ${LOG_LEVELS.join(', ')}`),
}

export interface MaintainConfig {
  connectionString: string
  /** Where that is, for messages. */
  databaseAddress: string
  policy: Policy
  /** The topic whose clock is compared before events are deleted; undefined without EVENTS_RETENTION_DAYS. */
  kafka: Clocks['kafka']
  everyMs: number
  host: string
  port: number
  logLevel: string
  /** Variables that are ignored: for the log. */
  warnings: string[]
}

/** @throws {ConfigError} that lists every mistake; Kafka's settings are read only if events are deleted */
export function readMaintainConfig(env: NodeJS.ProcessEnv): MaintainConfig {
  const { values, problems, warnings } = parseSettings(maintainSettings, env)
  const target = collectProblems(problems, () => databaseTarget(env))
  const kafka =
    values.EVENTS_RETENTION_DAYS === undefined
      ? undefined
      : collectProblems(problems, () => readKafkaConfig(env))
  if (problems.length > 0 || target === undefined) throw new ConfigError(problems)
  const unit = unitOf(values.EVENTS_PARTITION)
  return {
    connectionString: target.url,
    databaseAddress: target.address,
    policy: {
      unit,
      userIndex: values.EVENTS_USER_INDEX,
      retentionDays: values.EVENTS_RETENTION_DAYS,
      deadLetterDays: values.DEAD_LETTERS_RETENTION_DAYS,
    },
    kafka: kafka && { connection: kafka.connection, topic: kafka.topic.name },
    everyMs: values.MAINTAIN_EVERY ?? EVERY_MS[unit],
    host: values.MAINTAIN_HOST,
    port: values.MAINTAIN_PORT,
    logLevel: values.LOG_LEVEL,
    warnings: [...warnings, ...target.warnings],
  }
}

/** `none` says how a table is created; one that is a tree already goes on by days. */
function unitOf(partitioning: Partitioning): PartitionUnit {
  return partitioning === 'none' ? 'day' : partitioning
}
