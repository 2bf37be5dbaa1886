import assert from 'node:assert/strict'
import { createSign, generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { after, test } from 'node:test'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { startListeners, TLS_FILES, USER } from '../support/kafka-listeners.ts'
import { runFirehose } from '../support/run-firehose.ts'
import { storedRows } from '../support/sink-health.ts'
import { until } from '../support/until.ts'

/* TLS and SASL on a real broker: what the services and the commands need in order to log in, and what they say if they cannot. */

const CLIENT = { id: 'firehose', secret: 'a secret: 100 %' }
/** kafkajs logs in again 10 s before a token expires. */
const TOKEN_LIFE_S = 13

const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
const { backend, at } = await startListeners({
  keys: [{ ...publicKey.export({ format: 'jwk' }), kid: 'test', alg: 'RS256', use: 'sig' }],
})
const pipeline = await Pipeline.on(backend)
const tokens = createServer(
  { key: readFileSync(TLS_FILES.key), cert: readFileSync(TLS_FILES.certificate) },
  (request, response) => {
    const [id = '', secret = ''] = Buffer.from(
      (request.headers.authorization ?? '').slice('Basic '.length),
      'base64',
    )
      .toString()
      .split(':')
      .map(decodeURIComponent)
    const isKnown = id === CLIENT.id && secret === CLIENT.secret
    if (isKnown) tokensGiven += 1
    response.writeHead(isKnown ? 200 : 401, { 'content-type': 'application/json' })
    response.end(
      JSON.stringify(
        isKnown ? { access_token: token(), expires_in: TOKEN_LIFE_S } : { error: 'invalid_client' },
      ),
    )
  },
)
let tokensGiven = 0
tokens.listen(0, '127.0.0.1')
await once(tokens, 'listening')

after(async () => {
  tokens.close()
  await pipeline.close()
})

/** A token for Kafka, signed as RFC 7515 says. */
function token(): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const now = Math.floor(Date.now() / 1_000)
  const claims = { sub: CLIENT.id, aud: 'kafka', scope: 'write', iat: now, exp: now + TOKEN_LIFE_S }
  const signed = `${part({ alg: 'RS256', kid: 'test' })}.${part(claims)}`
  return `${signed}.${createSign('RSA-SHA256').update(signed).sign(privateKey, 'base64url')}`
}

const TLS = { KAFKA_SSL_CA_FILE: TLS_FILES.certificate }
const withUser = (mechanism: string) => ({
  ...TLS,
  KAFKA_BOOTSTRAP_SERVERS: `SASL_SSL://${at.SASL_SSL}`,
  KAFKA_SASL_MECHANISM: mechanism,
  KAFKA_SASL_USERNAME: USER.name,
  KAFKA_SASL_PASSWORD: USER.password,
})
const WITH_CERTIFICATE = {
  ...TLS,
  KAFKA_BOOTSTRAP_SERVERS: at.SSL,
  KAFKA_SSL: 'true',
  KAFKA_SSL_CERT_FILE: TLS_FILES.certificate,
  KAFKA_SSL_KEY_FILE: TLS_FILES.key,
}
const WITH_TOKEN = {
  ...TLS,
  KAFKA_BOOTSTRAP_SERVERS: `SASL_SSL://${at.SASL_SSL}`,
  KAFKA_SASL_MECHANISM: 'oauthbearer',
  KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL: `https://127.0.0.1:${(tokens.address() as AddressInfo).port}/token`,
  KAFKA_SASL_OAUTHBEARER_CLIENT_ID: CLIENT.id,
  KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET: CLIENT.secret,
  NODE_EXTRA_CA_CERTS: TLS_FILES.certificate,
}

let stored = 0

for (const [name, env] of [
  ['a client certificate', WITH_CERTIFICATE],
  ['PLAIN over TLS', withUser('plain')],
  ['SCRAM-SHA-256 over TLS', withUser('scram-sha-256')],
  ['SCRAM-SHA-512 over TLS', withUser('scram-sha-512')],
  ['OAUTHBEARER with a token endpoint', WITH_TOKEN],
] as const) {
  test(`with ${name}, events are accepted and stored, and every command reads Kafka`, async (t) => {
    const services = [await pipeline.startApi(env), await pipeline.startSink(env)] as const
    t.after(async () => await Promise.all(services.map(async (service) => await service.stop(10_000))))
    const [api, sink] = services
    await send(api.url)
    await storedRows(pipeline, stored)
    if (env === WITH_TOKEN) {
      const before = tokensGiven
      await until('both services have logged in again', async () => {
        await send(api.url)
        return tokensGiven >= before + 4
      })
      await storedRows(pipeline, stored)
    }
    const all = { ...pipeline.env, ...env, API_URL: api.url, SINK_URL: sink.url }
    const verified = await runFirehose(all, 'verify')
    assert.equal(verified.code, 0, verified.out + verified.err)
    const doctor = await runFirehose(all, 'doctor', '--check', 'kafka')
    assert.equal(doctor.code, 0, doctor.out)
    // A sink that has just logged in again may still be rejoining its group: the doctor says so, rightly.
    await until('the doctor finds the group at rest', async () => {
      return (await runFirehose(all, 'doctor', '--check', 'group')).code === 0
    })
  })
}

test('what is wrong with a login is said by the doctor, and what it names cures it', async () => {
  const cases = [
    [withUser('plain'), { KAFKA_SASL_PASSWORD: 'hunter2' }, /authentication failed/i],
    [withUser('scram-sha-512'), { KAFKA_SASL_PASSWORD: 'hunter2' }, /invalid credentials/i],
    [
      WITH_TOKEN,
      { KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET: 'hunter2' },
      /answered 401 invalid_client: check KAFKA_SASL_OAUTHBEARER_CLIENT_ID, KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET/,
    ],
    [
      WITH_CERTIFICATE,
      { KAFKA_SSL_CERT_FILE: '', KAFKA_SSL_KEY_FILE: '' },
      /certificate required|bad certificate/i,
    ],
    [WITH_CERTIFICATE, { KAFKA_SSL_CA_FILE: '' }, /self-signed certificate/],
  ] as const
  const tried = cases.map(async ([env, change, reason]) => {
    const bad = { ...pipeline.env, ...env, ...change }
    const doctor = await runFirehose(bad, 'doctor', '--check', 'kafka', '--json')
    assert.match(doctor.out, reason)
    assert.doesNotMatch(doctor.out + doctor.err, /hunter2/)
    const cured = await runFirehose({ ...bad, ...env }, 'doctor', '--check', 'kafka')
    assert.equal(cured.code, 0, cured.out)
  })
  await Promise.all(tried)
})

async function send(url: string): Promise<void> {
  const body = JSON.stringify({ user_id: 1, timestamp: '2026-01-02T03:04:05Z', metadata: {} })
  const headers = { 'content-type': 'application/json' }
  const { status } = await fetch(`${url}/event`, { method: 'POST', headers, body })
  assert.equal(status, 202)
  stored += 1
}
