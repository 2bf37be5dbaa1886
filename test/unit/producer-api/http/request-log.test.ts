import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Logger } from '../../../../platform/log.ts'
import { RequestLog } from '../../../../producer-api/http/request-log.ts'
import { makeKey } from '../../../support/key-files.ts'
import { Signer } from '../../../support/signer.ts'

test('a key or a token that a client has put into the path is not logged', async () => {
  const lines: string[] = []
  const write = (line: object): unknown => lines.push(JSON.stringify(line))
  const log = new RequestLog({ info: write, warn: write } as unknown as Logger)
  const { text } = makeKey('shop', 'browser')
  const token = await (await Signer.make('one')).token(Date.now())
  const refused = { method: 'POST', status: 404, problem: 'not-found', detail: '', pointer: undefined }
  for (const path of [`/event&key=${text}`, `/event%3Fkey=${text}`, `/event/${text}`, `/event;${token}`])
    log.refused({ ...refused, request_id: 'r-1', path, cause: undefined })
  assert.equal(lines.length, 4)
  const secrets = [text, text.slice(-20), ...token.split('.')]
  for (const line of lines) for (const secret of secrets) assert.ok(!line.includes(secret), line)
  assert.match(lines[0]!, /"path":"\/event&key=\*\*\*"/)
})

test('other paths are logged as they were sent', () => {
  const paths: string[] = []
  const write = ({ path }: { path: string }): unknown => paths.push(path)
  const log = new RequestLog({ info: write, warn: write } as unknown as Logger)
  const request = { request_id: 'r-1', method: 'POST', status: 404, problem: 'not-found', detail: '' }
  for (const path of ['/event', '/v1/tracking/events', '/%65vent'])
    log.refused({ ...request, path, pointer: undefined, cause: undefined })
  assert.deepEqual(paths, ['/event', '/v1/tracking/events', '/%65vent'])
})
