import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import { keyRotated } from '../../../../tools/drill/key-fault.ts'
import type { Fault } from '../../../../tools/drill/plan.ts'
import { Scene } from '../../../../tools/drill/scene.ts'
import type { Stage } from '../../../../tools/drill/stage.ts'
import { unauthorized } from '../../../../tools/drill/stretch.ts'

const FAULT: Fault = { index: 0, kind: 'key_rotated', moment: 'under_load', sink: 0, arrives: false }

/** A server that knows these secrets, and answers as the API does. */
async function serve(t: TestContext, isValid: (secret: string, asked: number) => boolean): Promise<number> {
  let asked = 0
  const server = createServer(({ headers: { authorization = '' } }, response) => {
    const secret = authorization.replace('Bearer ', '')
    response.writeHead(isValid(secret, ++asked) ? 422 : 401).end('{}')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close().closeAllConnections())
  return (server.address() as AddressInfo).port
}

test('clients change over when the new secret is accepted, and the fault counts when the old one has ended', async (t) => {
  const key = { text: 'old', rotate: async () => 'new' }
  const inUse: string[] = []
  const port = await serve(t, (secret, asked) => {
    inUse.push(`${secret} ${key.text}`)
    return secret === 'new' ? asked > 2 : asked < 6
  })
  const stage = { key, httpProxy: { port } } as unknown as Stage
  const evidence = await keyRotated(new Scene(stage, FAULT, new AbortController().signal))
  assert.match(
    evidence ?? '',
    /^the new secret was accepted after 0\.\d s, and the old one refused after 0\.\d s$/,
  )
  assert.deepEqual(inUse, ['new old', 'new old', 'new old', 'old new', 'old new', 'old new'])
  assert.equal(key.text, 'new')
})

test('a stage without keys has nothing to rotate', async () => {
  const stage = { key: undefined } as unknown as Stage
  assert.equal(await keyRotated(new Scene(stage, FAULT, new AbortController().signal)), undefined)
})

test('an event that was refused because of its key is a problem of the stretch', () => {
  assert.deepEqual(unauthorized({ aborted: 3, '503 unknown': 1, 429: 2 }), [])
  assert.deepEqual(unauthorized({ 401: 2, 403: 1 }), [
    'the API answered 2 events with 401',
    'the API answered 1 events with 403',
  ])
})
