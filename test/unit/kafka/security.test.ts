import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { readSettings } from '../../../platform/env.ts'
import { kafkaSecurity, securitySettings } from '../../../kafka/security.ts'
import type { Protocol } from '../../../kafka/servers.ts'

const dir = mkdtempSync(join(tmpdir(), 'firehose-security-'))
after(() => rmSync(dir, { recursive: true, force: true }))

const [certificate, key] = ['certificate', 'key'].map((name) =>
  fileURLToPath(new URL(`../../support/tls/${name}.pem`, import.meta.url)),
) as [string, string]

function security(env: NodeJS.ProcessEnv, protocol?: Protocol) {
  const problems: string[] = []
  return { ...kafkaSecurity(readSettings(securitySettings, env), protocol, problems), problems }
}

const USER = { KAFKA_SASL_USERNAME: 'u', KAFKA_SASL_PASSWORD: 'hunter2' }

test('the protocol of the brokers implies TLS', () => {
  assert.equal(security({}).ssl, false)
  assert.equal(security({}, 'SSL').ssl, true)
  assert.equal(security({ KAFKA_SSL: 'true' }).ssl, true)
  assert.equal(security({ KAFKA_SASL_MECHANISM: 'plain', ...USER }, 'SASL_SSL').ssl, true)
  assert.equal(security({ KAFKA_SASL_MECHANISM: 'plain', ...USER }, 'SASL_PLAINTEXT').ssl, false)
})

test('settings that contradict the protocol are refused, and what the sentence says cures it', () => {
  const plain = { KAFKA_SASL_MECHANISM: 'plain', ...USER }
  for (const [env, protocol, reason, cured, curedProtocol] of [
    [{ KAFKA_SSL: 'false' }, 'SSL', /leave KAFKA_SSL out/, {}, 'SSL'],
    [{ KAFKA_SSL: 'true' }, 'PLAINTEXT', /leave KAFKA_SSL out/, {}, 'PLAINTEXT'],
    [{}, 'SASL_SSL', /needs KAFKA_SASL_MECHANISM/, plain, 'SASL_SSL'],
    [plain, 'SSL', /write SASL_SSL:\/\//, plain, 'SASL_SSL'],
    [plain, 'PLAINTEXT', /write SASL_PLAINTEXT:\/\//, plain, 'SASL_PLAINTEXT'],
  ] as const) {
    const { problems } = security(env, protocol)
    assert.equal(problems.length, 1)
    assert.match(problems[0] ?? '', reason)
    assert.deepEqual(security(cured, curedProtocol).problems, [])
  }
})

test('a client certificate needs its key; unusable files are refused at the start, without what they hold', () => {
  const good = { KAFKA_SSL: 'true', KAFKA_SSL_CERT_FILE: certificate, KAFKA_SSL_KEY_FILE: key }
  const { ssl, problems } = security({ ...good, KAFKA_SSL_CA_FILE: certificate })
  assert.deepEqual(problems, [])
  assert.deepEqual(Object.keys(ssl as object), ['ca', 'cert', 'key'])

  const junk = join(dir, 'junk.pem')
  writeFileSync(junk, 'hunter2')
  for (const [change, reason] of [
    [{ KAFKA_SSL_KEY_FILE: '' }, /KAFKA_SSL_CERT_FILE and KAFKA_SSL_KEY_FILE need each other/],
    [{ KAFKA_SSL_CERT_FILE: '' }, /need each other/],
    [{ KAFKA_SSL_CERT_FILE: junk }, /KAFKA_SSL_CERT_FILE must hold a certificate in PEM/],
    [{ KAFKA_SSL_CA_FILE: junk }, /KAFKA_SSL_CA_FILE must hold a certificate in PEM/],
    [{ KAFKA_SSL_CA_FILE: join(dir, 'none') }, /KAFKA_SSL_CA_FILE cannot be read/],
    [{ KAFKA_SSL_KEY_FILE: junk }, /is not the private key of KAFKA_SSL_CERT_FILE/],
    [{ KAFKA_SSL: 'false' }, /KAFKA_SSL_CERT_FILE needs KAFKA_SSL=true/],
    [
      { KAFKA_SSL_KEY_FILE: '', KAFKA_SSL_CERT_FILE: '', KAFKA_SSL_KEY_PASSWORD: 'hunter2' },
      /KAFKA_SSL_KEY_PASSWORD needs KAFKA_SSL_KEY_FILE/,
    ],
  ] as const) {
    const found = security({ ...good, ...change }).problems.join('\n')
    assert.match(found, reason)
    assert.doesNotMatch(found, /hunter2/)
  }
})

test('each mechanism needs its own credentials', () => {
  const endpoint = {
    KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL: 'https://login.example.com/token',
    KAFKA_SASL_OAUTHBEARER_CLIENT_ID: 'id',
    KAFKA_SASL_OAUTHBEARER_CLIENT_SECRET: 'hunter2',
  }
  for (const mechanism of ['plain', 'scram-sha-256', 'scram-sha-512'] as const) {
    const { sasl, problems } = security({ KAFKA_SASL_MECHANISM: mechanism, ...USER })
    assert.deepEqual([sasl, problems], [{ mechanism, username: 'u', password: 'hunter2' }, []])
    assert.match(security({ KAFKA_SASL_MECHANISM: mechanism }).problems.join(), /needs KAFKA_SASL_USERNAME/)
  }
  const oauth = { KAFKA_SASL_MECHANISM: 'oauthbearer', ...endpoint }
  assert.deepEqual(security(oauth).problems, [])
  assert.equal(security(oauth).sasl?.mechanism, 'oauthbearer')
  for (const [env, reason] of [
    [{ KAFKA_SASL_MECHANISM: 'oauthbearer' }, /oauthbearer needs KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL/],
    [{ ...oauth, KAFKA_SASL_OAUTHBEARER_TOKEN_ENDPOINT_URL: 'login' }, /must be an address such as https/],
    [{ ...oauth, ...USER }, /are not for oauthbearer/],
    [endpoint, /needs KAFKA_SASL_MECHANISM=oauthbearer/],
    [USER, /need KAFKA_SASL_MECHANISM/],
  ] as const) {
    const found = security(env).problems
    assert.equal(found.length, 1)
    assert.match(found[0] ?? '', reason)
    assert.doesNotMatch(found.join(), /hunter2/)
  }
})
