import { changeUserId } from '../postgres/user-id-column.ts'
import type { Facts } from './facts.ts'
import type { Finding } from './finding.ts'

/** Whether the API takes the user ids that the column holds, if both are known. */
export function checkUserIdType({ api, postgres }: Facts): Finding[] {
  if (!api.answer.ok || !postgres.ok || !postgres.value.tables.ok) return []
  const ofApi = api.answer.value.health.user_id_type
  const ofColumn = postgres.value.tables.value.events?.userIdType
  if (ofColumn === 'text' && ofApi === 'bigint') {
    return [
      {
        check: 'api',
        level: 'warning',
        text: `The API at ${api.url} has USER_ID_TYPE=bigint, but the column user_id is text: it refuses user ids that are no integers (422).`,
        mend: 'Set USER_ID_TYPE=text for migrate and all APIs, and restart them.',
      },
    ]
  }
  if (ofColumn === 'bigint' && ofApi === 'text') {
    return [
      {
        check: 'api',
        level: 'critical',
        text: `The API at ${api.url} has USER_ID_TYPE=text, but the column user_id is bigint: the sink pauses at the first user id that is no integer.`,
        mend: `${changeUserId('text')}; or set USER_ID_TYPE=bigint for migrate and all APIs, and restart them, before it arrives.`,
      },
    ]
  }
  return []
}
