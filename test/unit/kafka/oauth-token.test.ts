import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { test, type TestContext } from 'node:test'
import { type TokenEndpoint, tokenProvider } from '../../../kafka/oauth-token.ts'

interface Asked {
  authorization: string | undefined
  body: string
}

/** A token endpoint that gives these answers in turn, the last one again and again. */
async function endpoint(
  t: TestContext,
  ...answers: { status?: number; body: unknown }[]
): Promise<{ settings: TokenEndpoint; asked: Asked[] }> {
  const asked: Asked[] = []
  const server = createServer((request, response) => {
    const asking: Asked = { authorization: request.headers.authorization, body: '' }
    asked.push(asking)
    request.on('data', (chunk: Buffer) => (asking.body += chunk.toString()))
    const answer = (answers.length > 1 ? answers.shift() : answers[0])!
    response.writeHead(answer.status ?? 200, { 'content-type': 'application/json' })
    response.end(typeof answer.body === 'string' ? answer.body : JSON.stringify(answer.body))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => server.close())
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/token`
  return { settings: { url, clientId: 'a:b', clientSecret: 'hunter 2%', scope: undefined }, asked }
}

test('the client credentials are sent as RFC 6749 says, and the token is kept while it is fresh', async (t) => {
  const { settings, asked } = await endpoint(t, { body: { access_token: 'one', expires_in: 300 } })
  const provide = tokenProvider({ ...settings, scope: 'kafka write' })
  assert.deepEqual(await Promise.all([provide(), provide()]), [{ value: 'one' }, { value: 'one' }])
  assert.deepEqual(await provide(), { value: 'one' })
  assert.equal(asked.length, 1)
  const [user = '', password = ''] = Buffer.from(
    (asked[0]?.authorization ?? '').slice('Basic '.length),
    'base64',
  )
    .toString()
    .split(':')
  assert.deepEqual([decodeURIComponent(user), decodeURIComponent(password)], ['a:b', 'hunter 2%'])
  assert.equal(asked[0]?.body, 'grant_type=client_credentials&scope=kafka+write')
})

test('a token that is about to expire, or does not say when, is fetched again', async (t) => {
  for (const expires_in of [0, undefined, 'soon']) {
    const { settings, asked } = await endpoint(t, { body: { access_token: 'one', expires_in } })
    const provide = tokenProvider(settings)
    await provide()
    await provide()
    assert.equal(asked.length, 2)
  }
})

test('after a failure, the endpoint is asked again', async (t) => {
  const { settings } = await endpoint(
    t,
    { status: 503, body: '' },
    { body: { access_token: 'two', expires_in: 300 } },
  )
  const provide = tokenProvider(settings)
  await assert.rejects(provide(), /answered 503: check KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL/)
  assert.deepEqual(await provide(), { value: 'two' })
})

test('what the endpoint refuses is said in a sentence, without the secret', async (t) => {
  for (const [answer, reason] of [
    [
      { status: 401, body: { error: 'invalid_client' } },
      /answered 401 invalid_client: check .*_CLIENT_SECRET/,
    ],
    [{ status: 400, body: { error: 'invalid_scope' } }, /answered 400 invalid_scope: check .*_SCOPE/],
    [{ status: 400, body: { error: '<b>hunter 2%' } }, /answered 400: check/],
    [{ status: 404, body: 'not found' }, /answered 404: check KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL/],
    [{ status: 302, body: '' }, /answered 302|does not answer/],
    [{ body: {} }, /without an access_token/],
    [{ body: { access_token: 'a\u0001b' } }, /without an access_token/],
    [{ body: '<html>' }, /without an access_token/],
  ] as const) {
    const { settings } = await endpoint(t, answer)
    await assert.rejects(tokenProvider(settings)(), (error: Error) => {
      assert.match(error.message, reason)
      assert.doesNotMatch(error.message, /hunter/)
      return true
    })
  }
  const nobody = { url: 'http://127.0.0.1:1/token', clientId: 'a', clientSecret: 'hunter', scope: undefined }
  await assert.rejects(tokenProvider(nobody)(), /does not answer \(.*\): check .*_URL/)
})
