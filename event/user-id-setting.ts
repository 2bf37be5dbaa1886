import { oneOf } from '../platform/env.ts'
import { USER_ID_TYPES } from './kinds.ts'

/** USER_ID_TYPE, for the API and migrate. The sink sees it from the column. */
export const userIdTypeSetting = oneOf(
  USER_ID_TYPES,
  'bigint',
  'What a `user_id` is: `bigint` (64-bit integers), or `text` (any string of 1 to 255 characters). `firehose migrate` makes the column so when it creates the table; the API must have the same. To change it later: docs/OPERATIONS.md',
)
