import type { UserIdType } from '../event/kinds.ts'

/** The statement that gives the column user_id another type, without a semicolon. */
export function changeUserId(to: UserIdType): string {
  const type = to === 'text' ? 'text COLLATE "C"' : 'bigint USING user_id::bigint'
  return `ALTER TABLE events ALTER COLUMN user_id TYPE ${type}`
}
