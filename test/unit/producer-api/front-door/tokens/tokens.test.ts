import assert from 'node:assert/strict'
import { createHmac, createPublicKey } from 'node:crypto'
import { before, test, type TestContext } from 'node:test'
import * as fc from 'fast-check'
import { SignJWT, UnsecuredJWT } from 'jose'
import type { TokenVerdict } from '../../../../../producer-api/front-door/tokens/tokens.ts'
import { JwksServer } from '../../../../support/jwks-server.ts'
import { AUDIENCE, ISSUER, Signer } from '../../../../support/signer.ts'
import { clockOf2027, started, tokensOf } from '../../../../support/token-checks.ts'

const NOW_MS = clockOf2027().time
const NOW_S = NOW_MS / 1_000
const CLAIMS = { iss: ISSUER, aud: AUDIENCE, sub: 'user-1', exp: NOW_S + 600 }

let ec: Signer
let rsa: Signer
let ed: Signer
before(async () => {
  ec = await Signer.make('ec', 'ES256')
  rsa = await Signer.make('rsa', 'RS256')
  ed = await Signer.make('ed', 'EdDSA')
})

/** Judges by the keys of all three. */
async function judge(t: TestContext): Promise<(token: string) => Promise<TokenVerdict>> {
  const server = await JwksServer.start(t, ec, rsa, ed)
  const { tokens, clock } = tokensOf(t, server)
  await started(tokens, clock)
  return async (token) => tokens.check(token)
}

test('a token of each algorithm is valid, with its subject, and at once when it is sent again', async (t) => {
  const server = await JwksServer.start(t, ec, rsa, ed)
  const { tokens, clock } = tokensOf(t, server)
  await started(tokens, clock)
  for (const signer of [ec, rsa, ed]) {
    const token = await signer.token(clock.time)
    assert.deepEqual(await tokens.check(token), { kind: 'valid', subject: 'user-1' })
    assert.deepEqual(tokens.check(token), { kind: 'valid', subject: 'user-1' })
  }
  assert.deepEqual(await tokens.check(await ec.token(clock.time, { sub: undefined })), {
    kind: 'valid',
    subject: undefined,
  })
  assert.deepEqual(tokens.status, { keys: 3, fetchedAtMs: NOW_MS, problem: undefined, fetches: 1 })
})

test('the time of a token counts with a leeway of 60 s', async (t) => {
  const check = await judge(t)
  for (const [changes, detail] of [
    [{ exp: NOW_S - 59 }, undefined],
    [{ exp: NOW_S - 60 }, 'The token has expired (exp). Get a new one.'],
    [{ exp: NOW_S - 86_400 }, 'The token has expired (exp). Get a new one.'],
    [{ nbf: NOW_S + 60 }, undefined],
    [{ nbf: NOW_S + 61 }, 'The token is not valid yet (nbf).'],
    [{ iat: NOW_S + 3_600 }, undefined],
    [{ exp: undefined }, 'The token lacks a claim that is required: exp.'],
    [{ exp: String(NOW_S + 600) }, 'A claim of the token has a wrong value: exp.'],
    [{ exp: null }, 'A claim of the token has a wrong value: exp.'],
  ] as const) {
    const verdict = await check(await ec.token(NOW_MS, changes))
    assert.equal(verdict.kind === 'invalid' ? verdict.detail : undefined, detail, JSON.stringify(changes))
  }
})

test('a token counts only for its issuer and its audience', async (t) => {
  const check = await judge(t)
  for (const [changes, detail] of [
    [{ aud: ['other', AUDIENCE] }, undefined],
    [{ aud: ['other'] }, 'The token is for another audience (aud).'],
    [{ aud: `${AUDIENCE}2` }, 'The token is for another audience (aud).'],
    [{ aud: [] }, 'The token is for another audience (aud).'],
    [{ aud: { [AUDIENCE]: true } }, 'The token is for another audience (aud).'],
    [{ aud: undefined }, 'The token lacks a claim that is required: aud.'],
    [{ iss: ISSUER.slice(0, -1) }, 'The token is of another issuer (iss).'],
    [{ iss: [ISSUER] }, 'The token is of another issuer (iss).'],
    [{ iss: undefined }, 'The token lacks a claim that is required: iss.'],
    [{ sub: 7 }, 'The subject (sub) of the token is not a text.'],
  ] as const) {
    const verdict = await check(await ec.token(NOW_MS, changes))
    assert.equal(verdict.kind === 'invalid' ? verdict.detail : undefined, detail, JSON.stringify(changes))
  }
})

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')

test('a token that is not signed, or with what is public, is invalid', async (t) => {
  const check = await judge(t)
  const pem = createPublicKey({ key: rsa.jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' })
  const forged = (header: object, secret: string | Buffer): string => {
    const text = `${part(header)}.${part(CLAIMS)}`
    return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
  }
  const stranger = await Signer.make('ec')
  const notAllowed = await Signer.make('ps', 'PS256')
  for (const [name, token, detail] of [
    ['alg none', new UnsecuredJWT(CLAIMS).encode(), 'The token is not a JWT.'],
    [
      'alg none, with a signature',
      `${part({ alg: 'none' })}.${part(CLAIMS)}.AAAA`,
      'The token is not signed.',
    ],
    ['alg NONE', `${part({ alg: 'NONE' })}.${part(CLAIMS)}.AAAA`, 'The token is not signed.'],
    [
      'HS256 with the public key',
      forged({ alg: 'HS256', kid: 'rsa' }, pem),
      /algorithm that is not allowed: use RS256, ES256, EdDSA\.$/,
    ],
    ['HS256 with the modulus', forged({ alg: 'HS256' }, Buffer.from(rsa.jwk.n!, 'base64url')), /not allowed/],
    ['RS256 that is HS256', forged({ alg: 'RS256', kid: 'rsa' }, pem), /^The signature of the token/],
    ['an algorithm outside the setting', await notAllowed.token(NOW_MS), /not allowed/],
    ['another key of the same name', await stranger.token(NOW_MS), /^The signature of the token/],
    [
      'a key within the token',
      await stranger.sign(CLAIMS, { jwk: stranger.jwk }),
      /^The signature of the token/,
    ],
    [
      'a key at an address',
      await stranger.sign(CLAIMS, { jku: 'https://example.com/keys', kid: 'mine' }),
      /not one of its issuer/,
    ],
    ['the algorithm of another key', await ec.sign(CLAIMS, { kid: 'rsa' }), /not one of its issuer/],
    ['an unknown extension', await critical(), /^The token needs an extension that is not supported/],
  ] as const) {
    const verdict = await check(token)
    assert.ok(verdict.kind === 'invalid', name)
    if (typeof detail === 'string') assert.equal(verdict.detail, detail, name)
    else assert.match(verdict.detail, detail, name)
    const parts = token.split('.')
    assert.ok(!parts.some((each) => each.length > 6 && verdict.detail.includes(each)), name)
  }
})

/** A token that demands an extension that nobody here knows. */
async function critical(): Promise<string> {
  const header = { alg: 'ES256', kid: 'ec', crit: ['exp2'], exp2: 1 }
  return new SignJWT(CLAIMS).setProtectedHeader(header).sign(ec.privateKey, { crit: { exp2: true } })
}

test('what is no JWT is invalid, and so is what is too long', async (t) => {
  const check = await judge(t)
  const good = await ec.token(NOW_MS)
  const [header = '', payload = '', signature = ''] = good.split('.')
  for (const text of [
    '',
    'x',
    '..',
    'a.b.c',
    `${header}.${payload}`,
    `${header}.${payload}.`,
    `${header}.${payload}.${signature}.`,
    `${header}.${payload}.${signature}.x.y`,
    `${header}.${payload}.${signature}=`,
    `${header}.${payload}.${signature} `,
    ` ${good}`,
    `${part([])}.${payload}.${signature}`,
    `${part({ kid: 'ec' })}.${payload}.${signature}`,
    `${part({ alg: 7 })}.${payload}.${signature}`,
    `${part({ alg: 'ES256', kid: 7 })}.${payload}.${signature}`,
    `${part({ alg: 'ES256', kid: { toString: 'ec' } })}.${payload}.${signature}`,
    Buffer.from('{"alg":"ES256"').toString('base64url') + `.${payload}.${signature}`,
  ])
    assert.deepEqual(await check(text), { kind: 'invalid', detail: 'The token is not a JWT.' }, text)
  const long = await ec.token(NOW_MS, { more: 'x'.repeat(8_192) })
  assert.deepEqual(await check(long), {
    kind: 'invalid',
    detail: 'The token is longer than 8192 characters.',
  })
  // Signed, but not an object.
  const text = `${header}.${part(7)}`
  assert.equal((await check(`${text}.${signature}`)).kind, 'invalid')
})

test('a token without the id of a key is tried with the keys of its algorithm', async (t) => {
  const signers = [await Signer.make('a'), await Signer.make(), await Signer.make()]
  const server = await JwksServer.start(t, ...signers)
  const { tokens, clock } = tokensOf(t, server)
  await started(tokens, clock)
  for (const signer of signers)
    assert.equal((await tokens.check(await signer.sign(CLAIMS, { kid: undefined }))).kind, 'valid')
  const stranger = await Signer.make()
  const verdict = await tokens.check(await stranger.token(clock.time))
  assert.ok(verdict.kind === 'invalid' && verdict.detail.startsWith('The signature'))
  // The right key, but expired: its reason, not that of the others.
  const expired = await tokens.check(await signers[1]!.token(clock.time, { exp: 1 }))
  assert.ok(expired.kind === 'invalid' && expired.detail.startsWith('The token has expired'))
})

test('a token of which anything was changed is never valid, even after the token itself was found valid', async (t) => {
  const check = await judge(t)
  for (const signer of [ec, rsa, ed]) {
    const token = await signer.token(NOW_MS)
    assert.equal((await check(token)).kind, 'valid')
    const isNeverValid = async (other: string): Promise<void> => {
      if (other !== token) assert.notEqual((await check(other)).kind, 'valid', other)
    }
    // The last character of a signature has bits that decode to nothing.
    for (const last of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_+/= \n')
      await isNeverValid(token.slice(0, -1) + last)
    const position = fc.integer({ min: 0, max: token.length - 1 })
    const character = fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code))
    await fc.assert(
      fc.asyncProperty(position, character, fc.constantFrom(0, 1, 2), async (at, text, removed) =>
        isNeverValid(token.slice(0, at) + text + token.slice(at + removed)),
      ),
      { numRuns: 300 },
    )
  }
})
