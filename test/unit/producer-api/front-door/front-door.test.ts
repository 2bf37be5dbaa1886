import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { test, type TestContext } from 'node:test'
import { KeyStore } from '../../../../access/key-store.ts'
import { createLogger } from '../../../../platform/log.ts'
import type { Caller } from '../../../../producer-api/front-door/callers.ts'
import { FrontDoor, type FrontDoorParts } from '../../../../producer-api/front-door/front-door.ts'
import { AddressLimit, KeyLimits } from '../../../../producer-api/front-door/limits/limits.ts'
import type { Refusal } from '../../../../producer-api/intake/answer.ts'
import { KeyFileFixture, type Made, makeKey } from '../../../support/key-files.ts'

const SHOP = 'https://shop.example'

function door(t: TestContext, made: Made[], change: Partial<FrontDoorParts> = {}): FrontDoor {
  const keys =
    made.length === 0
      ? undefined
      : KeyStore.open(KeyFileFixture.of(t, ...made).path, createLogger('test', 'silent'))
  return new FrontDoor({
    keys,
    tokens: undefined,
    subjectIsUser: false,
    isAnonymous: keys === undefined,
    addressOf: () => '192.0.2.1',
    addressLimit: undefined,
    keyLimits: new KeyLimits(undefined),
    subjectLimit: undefined,
    isForeign: ({ headers }) => headers.origin === 'https://evil.example',
    ...change,
  })
}

const request = (headers: Record<string, string> = {}, url = '/event'): IncomingMessage =>
  ({ headers, rawHeaders: Object.entries(headers).flat(), url }) as unknown as IncomingMessage
const bearer = ({ text }: Made): Record<string, string> => ({ authorization: `Bearer ${text}` })

function admit(frontDoor: FrontDoor, asked: IncomingMessage): Caller | Refusal {
  const admitted = frontDoor.admit(asked, performance.now())
  assert.ok(!(admitted instanceof Promise))
  return admitted
}
const problemOf = (admitted: Caller | Refusal): string =>
  admitted.kind === 'refused' ? admitted.problem : admitted.kind

test('without credentials configured, everyone is admitted but pages of other origins', (t) => {
  const open = door(t, [])
  assert.equal(problemOf(admit(open, request())), 'caller')
  assert.equal(problemOf(admit(open, request({ authorization: 'Basic abc' }))), 'caller')
  assert.equal(problemOf(admit(open, request({ origin: 'https://evil.example' }))), 'foreign-origin')
})

test('the caller has the label of its key', (t) => {
  const key = makeKey('backend', 'server')
  const closed = door(t, [key])
  const caller = admit(closed, request(bearer(key)))
  assert.equal(caller.kind === 'caller' && caller.label, 'backend')
  assert.equal(problemOf(admit(closed, request())), 'unauthorized')
})

test('while anonymous writing is allowed, a credential that is sent must still be valid', (t) => {
  const key = makeKey('backend', 'server')
  const both = door(t, [key], { isAnonymous: true })
  assert.equal(problemOf(admit(both, request())), 'caller')
  assert.equal(problemOf(admit(both, request({ authorization: 'Bearer nonsense' }))), 'unauthorized')
})

test('browser keys are for their pages, server keys for none; other kinds may not write', (t) => {
  const browser = makeKey('shop', 'browser', { origins: [SHOP] })
  const nowhere = makeKey('no-page', 'browser')
  const server = makeKey('backend', 'server')
  const read = makeKey('reports', 'read')
  const closed = door(t, [browser, nowhere, server, read])
  const from = (made: Made, origin?: string): string =>
    problemOf(admit(closed, request({ ...bearer(made), ...(origin === undefined ? {} : { origin }) })))
  assert.equal(from(browser, SHOP), 'caller')
  assert.equal(from(browser, `${SHOP}:8443`), 'forbidden')
  assert.equal(from(browser), 'forbidden')
  assert.equal(from(nowhere, SHOP), 'forbidden')
  assert.equal(from(server, SHOP), 'forbidden')
  assert.equal(from(read), 'forbidden')
  assert.equal(problemOf(admit(closed, request({ origin: SHOP }, `/event?key=${browser.text}`))), 'caller')
  assert.equal(problemOf(admit(closed, request({}, `/event?key=${server.text}`))), 'forbidden')
})

test('the limit of the address counts before the credential, that of the key after it', (t) => {
  const key = makeKey('backend', 'server', { eventsPerSecond: 1, burst: 1_000 })
  const closed = door(t, [key], { addressLimit: new AddressLimit(1, 1_002) })
  const wrong = request({ authorization: 'Bearer nonsense' })
  for (let n = 0; n < 2; n += 1) assert.equal(problemOf(admit(closed, wrong)), 'unauthorized')
  const caller = admit(closed, request(bearer(key)))
  assert.ok(caller.kind === 'caller')
  assert.equal(caller.takeRest(1_000), undefined)
  const over = admit(closed, request(bearer(key)))
  assert.ok(over.kind === 'refused')
  assert.match(over.detail, /with this key: the limit is 1 per second, and 1000 at once/)
  for (let n = 0; n < 998; n += 1) admit(closed, wrong)
  const address = admit(closed, wrong)
  assert.ok(address.kind === 'refused')
  assert.match(address.detail, /from this address/)
})

test('a request whose events are too many takes nothing from its limit', (t) => {
  const key = makeKey('backend', 'server', { eventsPerSecond: 1, burst: 1_000 })
  const closed = door(t, [key])
  const batchOf = (events: number): string => {
    const caller = admit(closed, request(bearer(key)))
    if (caller.kind === 'refused') return 'at the door'
    return caller.takeRest(events) === undefined ? 'accepted' : 'too many events'
  }
  assert.equal(batchOf(600), 'accepted')
  for (let n = 0; n < 100; n += 1) assert.equal(batchOf(600), 'too many events')
  assert.equal(batchOf(400), 'accepted')
  assert.equal(batchOf(1), 'at the door')
})

test('a refusal repeats nothing of what was sent', (t) => {
  const closed = door(t, [makeKey('backend', 'server')])
  const canary = 'hunter2'
  for (const asked of [
    request({ authorization: `Bearer ${canary}` }),
    request({ authorization: `${canary} x` }),
    request({ 'x-api-key': canary }),
    request({}, `/event?key=${canary}`),
    request({ authorization: `Bearer fh_server_${canary}` }),
  ])
    assert.doesNotMatch(JSON.stringify(admit(closed, asked)), new RegExp(canary))
})
