import assert from 'node:assert/strict'
import { test } from 'node:test'
import { remediesFor } from '../../../../tools/send/remedies.ts'

test('what to do is said once for each status that depends on the client', () => {
  const said = remediesFor(['timeout', '429', '503 unknown', '403', '422', '401'])
  assert.deepEqual(
    said.map((text) => text.slice(0, 9)),
    ['HTTP 401:', 'HTTP 403:', 'HTTP 429:'],
  )
  for (const text of said) assert.match(text, /API_KEY|KEY_EVENTS_PER_SECOND/)
  assert.deepEqual(remediesFor(['422', 'closed']), [])
})
