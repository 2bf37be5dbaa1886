import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { ConfigError, parseSettings } from '../../../../../platform/env.ts'
import { tokenConfig, tokenSettings } from '../../../../../producer-api/front-door/tokens/settings.ts'
import type { TokenSettings } from '../../../../../producer-api/front-door/tokens/tokens.ts'
import { Signer } from '../../../../support/signer.ts'

const dir = mkdtempSync(join(tmpdir(), 'token-settings-'))
after(() => rmSync(dir, { recursive: true }))

function configOf(env: NodeJS.ProcessEnv): TokenSettings | undefined {
  const { values, problems } = parseSettings(tokenSettings, env)
  assert.deepEqual(problems, [])
  return tokenConfig(values)
}

function problemsOf(env: NodeJS.ProcessEnv): string[] {
  try {
    configOf(env)
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    return error.problems
  }
  return []
}

const GOOD = {
  JWT_JWKS_URL: 'https://login.example.com/jwks.json?tenant=1',
  JWT_ISSUER: 'https://login.example.com/',
  JWT_AUDIENCE: 'events, others',
}

test('without settings there are no tokens', () => {
  assert.equal(configOf({}), undefined)
})

test('tokens need an address or a file with keys, an issuer and an audience', () => {
  assert.deepEqual(configOf(GOOD), {
    keys: { url: new URL(GOOD.JWT_JWKS_URL) },
    algorithms: ['RS256', 'ES256', 'EdDSA'],
    issuer: 'https://login.example.com/',
    audience: ['events', 'others'],
    subjectIsUser: false,
  })
})

test('each mistake is named with its remedy, and the remedy cures it', async () => {
  const file = join(dir, 'jwks.json')
  const signer = await Signer.make('one')
  writeFileSync(file, JSON.stringify({ keys: [signer.jwk] }))
  const junk = join(dir, 'junk.json')
  writeFileSync(junk, 'hunter2')
  const { JWT_JWKS_URL: _, ...others } = GOOD
  const table: [change: NodeJS.ProcessEnv, RegExp, remedy: NodeJS.ProcessEnv][] = [
    [{ JWT_ISSUER: '' }, /^JWT_JWKS_URL needs JWT_ISSUER, the "iss" that tokens have/, GOOD],
    [{ JWT_AUDIENCE: ',' }, /^JWT_JWKS_URL needs JWT_AUDIENCE, the "aud" that tokens have/, GOOD],
    [
      { JWT_JWKS_FILE: file },
      /^JWT_JWKS_URL and JWT_JWKS_FILE are both set: remove one/,
      { ...others, JWT_JWKS_FILE: file },
    ],
    [
      { ...others, JWT_JWKS_URL: '', JWT_JWKS_FILE: join(dir, 'none') },
      /^JWT_JWKS_FILE cannot be read: no such file/,
      { ...others, JWT_JWKS_FILE: file },
    ],
    [
      { ...others, JWT_JWKS_URL: '', JWT_JWKS_FILE: dir },
      /^JWT_JWKS_FILE is no file: /,
      { ...others, JWT_JWKS_FILE: file },
    ],
    [
      { ...others, JWT_JWKS_URL: '', JWT_JWKS_FILE: junk },
      /^JWT_JWKS_FILE is not JSON: /,
      { ...others, JWT_JWKS_FILE: file },
    ],
    [
      { ...others, JWT_JWKS_URL: '', JWT_JWKS_FILE: file, JWT_ALGORITHMS: 'RS256' },
      /^JWT_JWKS_FILE has no public key for RS256: /,
      { ...others, JWT_JWKS_FILE: file, JWT_ALGORITHMS: 'RS256,ES256' },
    ],
    [
      { JWT_JWKS_URL: 'login.example.com' },
      /^JWT_JWKS_URL must be an address such as https:.*, without a user$/,
      GOOD,
    ],
    [{ JWT_JWKS_URL: 'https://u:hunter2@login.example.com/' }, /^JWT_JWKS_URL .*, without a user$/, GOOD],
    [{ JWT_JWKS_URL: 'http://login.example.com/?hunter2' }, /^JWT_JWKS_URL must begin with https:/, GOOD],
    [
      { JWT_JWKS_URL: 'http://127.0.0.1.example.com/' },
      /unless it is on this machine/,
      { ...GOOD, JWT_JWKS_URL: 'http://127.0.0.1:8080/' },
    ],
    [
      { JWT_JWKS_URL: 'http://10.0.0.1/' },
      /\(127\.0\.0\.1, ::1, localhost\)/,
      { ...GOOD, JWT_JWKS_URL: 'http://[::1]/' },
    ],
    [{ JWT_JWKS_URL: 'http://0.0.0.0/' }, /localhost/, { ...GOOD, JWT_JWKS_URL: 'http://localhost/' }],
    [
      { JWT_ALGORITHMS: 'RS256,HS256' },
      /^JWT_ALGORITHMS cannot have HS256: .* as with RS256$/,
      { ...GOOD, JWT_ALGORITHMS: 'RS256' },
    ],
    [
      { JWT_ALGORITHMS: 'None' },
      /^JWT_ALGORITHMS cannot have none: .* as with RS256$/,
      { ...GOOD, JWT_ALGORITHMS: 'RS256' },
    ],
    [
      { JWT_ALGORITHMS: 'rs256' },
      /^JWT_ALGORITHMS must be a list of RS256, .*, not "rs256"$/,
      { ...GOOD, JWT_ALGORITHMS: 'RS256' },
    ],
    [
      { JWT_ALGORITHMS: ',' },
      /^JWT_ALGORITHMS must name at least one of RS256,/,
      { ...GOOD, JWT_ALGORITHMS: 'ES512' },
    ],
    [
      { ...others, JWT_JWKS_URL: '', JWT_AUDIENCE: '' },
      /^JWT_ISSUER needs JWT_JWKS_URL or JWT_JWKS_FILE$/,
      GOOD,
    ],
    [{ JWT_JWKS_URL: '', JWT_ISSUER: '' }, /^JWT_AUDIENCE needs JWT_JWKS_URL or/, GOOD],
    [
      { JWT_JWKS_URL: '', JWT_ISSUER: '', JWT_AUDIENCE: '', JWT_SUBJECT_IS_USER_ID: 'true' },
      /^JWT_SUBJECT_IS_USER_ID needs/,
      GOOD,
    ],
  ]
  for (const [change, expected, remedy] of table) {
    const problems = problemsOf({ ...GOOD, ...change })
    assert.equal(problems.length, 1, problems.join('\n'))
    assert.match(problems[0] ?? '', expected)
    assert.doesNotMatch(problems[0] ?? '', /hunter2/)
    assert.deepEqual(problemsOf(remedy), [])
  }
})

test('all mistakes are reported at once', () => {
  const problems = problemsOf({ JWT_JWKS_URL: 'http://example.com', JWT_ALGORITHMS: 'none,HS512,X' })
  assert.deepEqual(
    problems.map((problem) => problem.split(' ').slice(0, 3).join(' ')),
    [
      'JWT_ALGORITHMS cannot have',
      'JWT_ALGORITHMS cannot have',
      'JWT_ALGORITHMS must be',
      'JWT_JWKS_URL must begin',
      'JWT_JWKS_URL needs JWT_ISSUER,',
      'JWT_JWKS_URL needs JWT_AUDIENCE,',
    ],
  )
})
