import { oneOf, optionalInteger } from '../../platform/env.ts'
import { PARTITION_UNITS } from './ranges.ts'

/** How a new installation's `events` is made. */
const PARTITIONINGS = [...PARTITION_UNITS, 'none'] as const
export type Partitioning = (typeof PARTITIONINGS)[number]

/** When the indexes that find the events of a user are built. */
const USER_INDEX_TIMES = ['immediate', 'deferred'] as const
export type UserIndexTime = (typeof USER_INDEX_TIMES)[number]

const partitioningSetting = oneOf(
  PARTITIONINGS,
  'day',
  'The partitions of `events`: one for each `day` (UTC) or `hour` of the ids, made ahead by `firehose maintain`; or `none`, when `firehose migrate` creates the tables: one table, in which other unique indexes than that of `event_id` are possible. See docs/OPERATIONS.md',
)

const userIndexSetting = oneOf(
  USER_INDEX_TIMES,
  'immediate',
  'When the indexes on `user_id` and `anonymous_id` are built: `immediate`, with each event; or `deferred`, by `firehose maintain` when a partition is over, which halves the work of PostgreSQL, but a search for a user reads the whole current partition',
)

/** What `firehose migrate` and `firehose maintain` know of the layout. */
export const layoutSettings = { EVENTS_PARTITION: partitioningSetting, EVENTS_USER_INDEX: userIndexSetting }

const MAX_DAYS = 7_300

export const retentionSetting = optionalInteger(
  1,
  MAX_DAYS,
  '`firehose maintain` deletes events this many days after `received_at`, and verify counts them apart. Longer than the retention of the topic; not set: events are kept for ever',
)

export const deadLetterRetentionSetting = optionalInteger(
  1,
  MAX_DAYS,
  '`firehose maintain` deletes dead letters that were replayed or discarded this many days ago. Not set: they are kept for ever',
)
