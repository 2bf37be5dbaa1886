import type { CanonicalEvent } from '../../event/fields.ts'
import type { UserIdType } from '../../event/kinds.ts'
import type { Refusal } from './answer.ts'

const OTHER_USER: Refusal = {
  kind: 'refused',
  problem: 'forbidden',
  detail: 'The user_id of each event must be the subject of the token.',
}

/**
 * The refusal of events of which one is not of this user.
 *
 * @param user undefined: events of all users are allowed
 */
export function otherUsers(
  events: readonly CanonicalEvent[],
  user: string | undefined,
  { userIdType }: { userIdType: UserIdType },
): Refusal | undefined {
  if (user === undefined) return undefined
  const canonical = userIdType === 'text' ? JSON.stringify(user) : user
  return events.every(({ userId }) => userId === canonical) ? undefined : OTHER_USER
}
