import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import { checkMachines } from '../../../doctor/check-machines.ts'
import { askService } from '../../../doctor/facts-services.ts'
import { healthy } from './healthy.ts'

/** A server with these pages, as JSON; all others are 404, also as JSON. */
async function serve(t: TestContext, pages: Record<string, object>): Promise<string> {
  const server = createServer(({ url = '' }, response) => {
    response.statusCode = url in pages ? 200 : 404
    response.end(JSON.stringify(pages[url] ?? { title: 'The path does not exist' }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close().closeAllConnections())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

const health = { user_id_type: 'bigint' }

test('the health of the API is that of its port for operators', async (t) => {
  const url = await serve(t, { '/readyz': { status: 'ok' } })
  const opsUrl = await serve(t, { '/health': health })
  const { answer } = await askService({ url, named: true, opsUrl })
  assert.deepEqual(answer, { ok: true, value: { ready: true, reason: undefined, health } })
})

test('an API whose health is elsewhere is not taken for one that does not answer, and the doctor says what to set', async (t) => {
  const url = await serve(t, { '/readyz': { status: 'ok' } })
  for (const [opsUrl, why] of [
    [url, `${url} answers 404`],
    ['http://127.0.0.1:1', 'http://127.0.0.1:1: bad port'],
  ] as const) {
    const api = await askService({ url, named: true, opsUrl })
    assert.deepEqual(api.answer, {
      ok: true,
      value: { ready: true, reason: undefined, health: {}, healthProblem: why },
    })
    const finding = checkMachines({ ...healthy(), api }).find(({ check }) => check === 'api')
    assert.equal(finding?.level, 'warning')
    assert.ok(finding.text.includes(why), finding.text)
    assert.match(finding.mend ?? '', /OPS_PORT.*API_OPS_URL/)
  }
})

test('an API that is not ready is critical, wherever its health is', async (t) => {
  const url = await serve(t, {})
  const api = await askService({ url, named: true, opsUrl: url })
  const finding = checkMachines({ ...healthy(), api }).find(({ check }) => check === 'api')
  assert.equal(finding?.level, 'critical')
})
