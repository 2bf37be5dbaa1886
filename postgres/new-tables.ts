import { userIdTypeSetting } from '../event/user-id-setting.ts'
import { readSettings } from '../platform/env.ts'
import type { MigrateOptions } from './migrate.ts'
import { layoutSettings } from './partitions/settings.ts'

/** The settings by which `firehose migrate` creates tables, with their variables. */
export const newTableSettings = { USER_ID_TYPE: userIdTypeSetting, ...layoutSettings }

type NewTables = Pick<MigrateOptions, 'userIdType' | 'partitioning' | 'userIndex'>

/** The same as options of migrate(). @throws {ConfigError} that lists every mistake */
export function newTables(env: NodeJS.ProcessEnv): NewTables {
  return newTablesOf(readSettings(newTableSettings, env))
}

export function newTablesOf(values: ReturnType<typeof readSettings<typeof newTableSettings>>): NewTables {
  const { USER_ID_TYPE: userIdType, EVENTS_PARTITION: partitioning, EVENTS_USER_INDEX: userIndex } = values
  return { userIdType, partitioning, userIndex }
}
