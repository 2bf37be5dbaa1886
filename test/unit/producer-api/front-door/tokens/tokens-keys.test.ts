import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { before, test } from 'node:test'
import type { TokenVerdict, Tokens } from '../../../../../producer-api/front-door/tokens/tokens.ts'
import { JwksServer } from '../../../../support/jwks-server.ts'
import { AUDIENCE, ISSUER, Signer } from '../../../../support/signer.ts'
import { MINUTE_MS, nextRead, started, tokensOf } from '../../../../support/token-checks.ts'

let one: Signer
let two: Signer
before(async () => {
  one = await Signer.make('one')
  two = await Signer.make('two')
})

const isPromise = (verdict: unknown): boolean => verdict instanceof Promise

test('a token with a key that is not known yet has the set read again, once for all that wait', async (t) => {
  const server = await JwksServer.start(t, one)
  const { tokens, clock } = tokensOf(t, server)
  await started(tokens, clock)
  server.publish(one, two)
  const verdicts = await Promise.all(
    Array.from({ length: 20 }, async (_, each) =>
      tokens.check(await two.token(clock.time, { jti: `${each}` })),
    ),
  )
  assert.ok(verdicts.every(({ kind }) => kind === 'valid'))
  assert.equal(server.asked, 2)
})

test('an unknown key has the set read at most once in 30 s; in between, its tokens are invalid at once', async (t) => {
  const server = await JwksServer.start(t, one)
  const { tokens, clock } = tokensOf(t, server)
  await started(tokens, clock)
  const detail = 'The key that the token names is not one of its issuer.'
  const token = await two.token(clock.time)
  assert.deepEqual(await tokens.check(token), { kind: 'invalid', detail })
  assert.equal(server.asked, 2)
  server.publish(one, two)
  clock.advance(29_999)
  assert.deepEqual(tokens.check(token), { kind: 'invalid', detail })
  assert.equal(server.asked, 2)
  clock.advance(1)
  assert.equal((await tokens.check(token)).kind, 'valid')
  assert.equal(server.asked, 3)
  assert.equal(tokens.status.fetches, 3)
})

test('while the set cannot be read, a token with an unknown key is not refused: it may have a new one', async (t) => {
  const server = await JwksServer.start(t, one)
  const { tokens, clock } = tokensOf(t, server)
  await started(tokens, clock)
  server.goDown()
  const token = await two.token(clock.time)
  const isUndecided = (verdict: TokenVerdict): boolean =>
    verdict.kind === 'no-keys' && verdict.retryAfterSeconds >= 1 && verdict.retryAfterSeconds <= 30
  assert.ok(isUndecided(await tokens.check(token)))
  assert.ok(isUndecided(tokens.check(token) as TokenVerdict))
  assert.equal(server.asked, 2)
  assert.equal((await tokens.check(await one.token(clock.time))).kind, 'valid')
  server.publish(one, two)
  await nextRead(clock)
  assert.equal((await tokens.check(token)).kind, 'valid')
})

test('a clock that was set back does not keep new keys from being read', async (t) => {
  const server = await JwksServer.start(t, one)
  const { tokens, clock } = tokensOf(t, server)
  await started(tokens, clock)
  await tokens.check(await two.token(clock.time))
  clock.time -= 60 * MINUTE_MS
  server.publish(two)
  assert.equal((await tokens.check(await two.token(clock.time))).kind, 'valid')
})

test('when the keys change, every token is checked again', async (t) => {
  const server = await JwksServer.start(t)
  const { tokens, clock } = tokensOf(t, server)
  // Read again within a minute, long before what is known of a token has to be renewed.
  server.cacheControl = 'max-age=60'
  server.publish(one, two)
  await started(tokens, clock)
  const [first, second] = [await one.token(clock.time), await two.token(clock.time)]
  for (const token of [first, second]) await tokens.check(token)
  // The same keys in another order: nothing has changed.
  server.publish(two, one)
  await nextRead(clock)
  assert.ok(![first, second].some((token) => isPromise(tokens.check(token))))
  server.publish(two)
  await nextRead(clock)
  assert.ok(isPromise(tokens.check(second)))
  assert.equal((await tokens.check(second)).kind, 'valid')
  assert.equal((await tokens.check(first)).kind, 'invalid')
})

test('on one connection, each token is judged for itself, also after it expired or the keys have changed', async (t) => {
  const server = await JwksServer.start(t)
  const { tokens, clock } = tokensOf(t, server)
  server.publish(one, two)
  await started(tokens, clock)
  const connection = {}
  const check = async (token: string): Promise<string | undefined> => {
    const verdict = await tokens.check(token, connection)
    return verdict.kind === 'valid' ? verdict.subject : verdict.kind
  }
  const soon = await one.token(clock.time, { sub: 'anna', exp: clock.time / 1_000 + 10 })
  const later = await two.token(clock.time, { sub: 'berta' })
  const changed = `${later.slice(0, -8)}AAAAAAAA`
  for (const [token, subject] of [
    [soon, 'anna'],
    [soon, 'anna'],
    [later, 'berta'],
    [soon, 'anna'],
    [changed, 'invalid'],
    [soon, 'anna'],
  ] as const)
    for (let n = 0; n < 2; n++) assert.equal(await check(token), subject)
  clock.advance(70_000, false)
  assert.equal(await check(soon), 'invalid')
  assert.equal(await check(later), 'berta')
  server.publish(one)
  await nextRead(clock)
  assert.equal(await check(later), 'invalid')
})

test('a token that is being checked while the keys change is not remembered', async (t) => {
  const server = await JwksServer.start(t, one)
  const { tokens, clock } = tokensOf(t, server)
  await started(tokens, clock)
  const token = await one.token(clock.time)
  server.publish(two)
  const release = holdThreadPool()
  try {
    let isJudged = false
    const verdict = Promise.resolve(tokens.check(token)).then(() => (isJudged = true))
    await nextRead(clock)
    assert.equal(isJudged, false)
    await release()
    await verdict
  } finally {
    await release()
  }
  assert.equal((await tokens.check(token)).kind, 'invalid')
})

/** Occupies every thread of the pool, in which signatures are checked, with opening a pipe. @returns what ends that */
function holdThreadPool(): () => Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'thread-pool-'))
  const pipe = join(dir, 'pipe')
  execFileSync('mkfifo', [pipe])
  const threads = Number(process.env.UV_THREADPOOL_SIZE || 4)
  const readers = Array.from({ length: threads }, () => open(pipe, 'r'))
  let isHeld = true
  return async () => {
    if (!isHeld) return
    isHeld = false
    closeSync(openSync(pipe, 'w'))
    for (const reader of await Promise.all(readers)) await reader.close()
    rmSync(dir, { recursive: true })
  }
}

/** A token with another signature than its own. */
function forged(kid: string, each: number, expS: number): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  const claims = { iss: ISSUER, aud: AUDIENCE, sub: `user-${each}`, exp: expS }
  const signature = Buffer.alloc(64, each % 251).toString('base64url')
  return `${part({ alg: 'ES256', kid })}.${part(claims)}.${signature}`
}

const kindsOf = (verdicts: readonly TokenVerdict[]): Record<string, number> =>
  Object.fromEntries(
    ['valid', 'invalid', 'no-keys'].map((kind) => [
      kind,
      verdicts.filter((each) => each.kind === kind).length,
    ]),
  )

/** 10,000 different ones. */
const manyForged = (names: string[], expS: number): string[] =>
  Array.from({ length: 10_000 }, (_, each) => forged(names[each % names.length]!, each, expS))

const checkAll = async (tokens: Tokens, all: string[]): Promise<TokenVerdict[]> =>
  Promise.all(all.map(async (token) => tokens.check(token)))

test('10,000 forged tokens a second for 31 seconds: 2 reads of the set, and good tokens are known as before', async (t) => {
  const server = await JwksServer.start(t, one)
  const { tokens, clock } = tokensOf(t, server)
  // Fresh for an hour, so that each further read was asked for.
  server.cacheControl = 'max-age=3600'
  server.publish(one)
  await started(tokens, clock)
  const good = await one.token(clock.time)
  await tokens.check(good)
  const all = manyForged(['x', 'y', 'z'], clock.time / 1_000 + 600)
  for (let second = 0; second < 31; second++) {
    const kinds = kindsOf(await checkAll(tokens, all))
    // Some of those that come while the set is read wait for it; nobody knows about the others yet.
    const isRead = second % 30 === 0
    assert.deepEqual(kinds, { valid: 0, invalid: isRead ? 1_000 : 10_000, 'no-keys': isRead ? 9_000 : 0 })
    clock.advance(1_000)
  }
  assert.equal(server.asked, 3)
  assert.equal(tokens.status.fetches, 3)
  assert.deepEqual(tokens.check(good), { kind: 'valid', subject: 'user-1' })
})

test('10,000 forged tokens at once with the name of a real key: some are answered later, none is valid, good ones stay known', async (t) => {
  const server = await JwksServer.start(t, one)
  const { tokens, clock } = tokensOf(t, server)
  await started(tokens, clock)
  const good = await one.token(clock.time)
  await tokens.check(good)
  const flooding = checkAll(tokens, manyForged(['one'], clock.time / 1_000 + 600))
  assert.deepEqual(tokens.check(good), { kind: 'valid', subject: 'user-1' })
  const fresh = await tokens.check(await one.token(clock.time, { jti: 'fresh' }))
  assert.ok(['valid', 'no-keys'].includes(fresh.kind))
  assert.deepEqual(kindsOf(await flooding), { valid: 0, invalid: 1_000, 'no-keys': 9_000 })
  assert.equal((await tokens.check(await one.token(clock.time, { jti: 'later' }))).kind, 'valid')
  assert.equal(server.asked, 1)
})

test('requests with the same token share one check', async (t) => {
  const server = await JwksServer.start(t, one)
  const { tokens, clock } = tokensOf(t, server)
  await started(tokens, clock)
  const token = await one.token(clock.time)
  const check = tokens.check(token)
  assert.equal(tokens.check(token), check)
  assert.equal((await check).kind, 'valid')
})

test('a known token is refused from the moment on when it expires', async (t) => {
  const server = await JwksServer.start(t, one)
  const { tokens, clock } = tokensOf(t, server)
  await started(tokens, clock)
  const token = await one.token(clock.time, { exp: clock.time / 1_000 + 10 })
  assert.equal((await tokens.check(token)).kind, 'valid')
  clock.advance(69_999, false)
  assert.deepEqual(tokens.check(token), { kind: 'valid', subject: 'user-1' })
  clock.advance(1, false)
  const verdict = await tokens.check(token)
  assert.ok(verdict.kind === 'invalid' && verdict.detail.startsWith('The token has expired'))
})
