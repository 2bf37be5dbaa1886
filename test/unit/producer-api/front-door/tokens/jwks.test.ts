import assert from 'node:assert/strict'
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { before, test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { exportJWK } from 'jose'
import { freshMs } from '../../../../../producer-api/front-door/tokens/jwks-source.ts'
import { JwksServer } from '../../../../support/jwks-server.ts'
import { Signer } from '../../../../support/signer.ts'
import {
  HOUR_MS,
  MINUTE_MS,
  nextRead,
  readEnded,
  started,
  tokensOf,
} from '../../../../support/token-checks.ts'
import { until } from '../../../../support/until.ts'

const PADDING = ' '.repeat(1024 * 1024)

let signer: Signer
before(async () => {
  signer = await Signer.make('one')
})

/** How an issuer's server can fail, and the words for it. */
const FAILURES: [name: string, fail: (server: JwksServer) => void | Promise<void>, RegExp][] = [
  ['no answer', (server) => server.goDown(), / does not answer \(\w+\): /],
  ['500', (server) => server.send('hunter2', {}, 500), / answered 500: /],
  ['404', (server) => server.send('hunter2', {}, 404), / answered 404: /],
  ['401', (server) => server.send('hunter2', { 'www-authenticate': 'Basic' }, 401), / answered 401: /],
  [
    'a redirect to the keys',
    (server) => {
      const keys = JSON.stringify({ keys: [signer.jwk] })
      server.answer = (response, { url }) =>
        url === '/there' ? response.end(keys) : response.writeHead(302, { location: '/there' }).end()
    },
    / answered 302, a redirect, which is not followed: /,
  ],
  ['garbage', (server) => server.send('<html>hunter2</html>'), / is not JSON: /],
  ['something else', (server) => server.send('{"error":"hunter2"}'), / is no JWKS: /],
  ['no keys', (server) => server.send('{"keys":[]}'), / has no public key for RS256, ES256, EdDSA: /],
  [
    'too much',
    (server) => server.send(JSON.stringify({ keys: [signer.jwk] }) + PADDING),
    / is larger than 1 MiB: /,
  ],
  [
    'too much, compressed',
    (server) => {
      const body = gzipSync(JSON.stringify({ keys: [signer.jwk] }) + PADDING)
      server.answer = (response) => response.writeHead(200, { 'content-encoding': 'gzip' }).end(body)
    },
    / is larger than 1 MiB: /,
  ],
  [
    'only a private key',
    async (server) => {
      const jwk = { ...(await exportJWK((await Signer.make('one')).privateKey)), kid: 'one' }
      server.send(JSON.stringify({ keys: [jwk] }))
    },
    / has no public key for .* \(key 1 is private\): /,
  ],
]

for (const [name, fail, reason] of FAILURES) {
  test(`the server of the keys answers wrongly at the start: ${name}`, async (t) => {
    const server = await JwksServer.start(t, signer)
    await fail(server)
    const { tokens, clock, log } = tokensOf(t, server)
    const token = await signer.token(clock.time)
    await started(tokens, clock)
    const { keys, fetchedAtMs, problem, fetches } = tokens.status
    assert.deepEqual([keys, fetchedAtMs, fetches], [0, undefined, 1])
    assert.match(problem ?? '', reason)
    assert.match(
      problem ?? '',
      /^the JWKS http:\/\/127\.0\.0\.1:\d+\/keys .*: check JWT_JWKS_URL\. Until it can be read/,
    )
    const verdict = await tokens.check(token)
    assert.ok(verdict.kind === 'no-keys' && verdict.retryAfterSeconds >= 1)

    server.publish(signer)
    await nextRead(clock)
    assert.equal(tokens.status.problem, undefined)
    assert.equal((await tokens.check(token)).kind, 'valid')
    assert.equal(log.filter((line) => line.includes('"level":50')).length, 1)
    assert.doesNotMatch(log.join(''), /hunter2/)
  })

  test(`the server of the keys answers wrongly later: ${name}`, async (t) => {
    const server = await JwksServer.start(t, signer)
    const { tokens, clock, log } = tokensOf(t, server)
    await started(tokens, clock)
    const readAtMs = clock.time
    await fail(server)
    for (let read = 1; read <= 3; read++) await nextRead(clock)
    assert.match(tokens.status.problem ?? '', reason)
    assert.match(tokens.status.problem ?? '', /The keys that it had are used until 2027-02-01T00:00:00Z$/)
    assert.deepEqual([tokens.status.keys, tokens.status.fetchedAtMs, tokens.status.fetches], [1, readAtMs, 4])
    assert.equal((await tokens.check(await signer.token(clock.time))).kind, 'valid')
    // Once, not with each attempt.
    assert.equal(log.filter((line) => line.includes('"level":50')).length, 1)
    assert.doesNotMatch(log.join(''), /hunter2/)
  })
}

test('a private key among public ones is not used, and the log says so once', async (t) => {
  const leaked = await Signer.make('leaked')
  const server = await JwksServer.start(t)
  server.send(
    JSON.stringify({ keys: [{ ...(await exportJWK(leaked.privateKey)), kid: 'leaked' }, signer.jwk] }),
  )
  const { tokens, clock, log } = tokensOf(t, server)
  await started(tokens, clock)
  await nextRead(clock)
  assert.equal((await tokens.check(await signer.token(clock.time))).kind, 'valid')
  assert.equal((await tokens.check(await leaked.token(clock.time))).kind, 'invalid')
  const warnings = log.filter((line) => line.includes('"level":40'))
  assert.equal(warnings.length, 1)
  assert.match(warnings[0] ?? '', /"ignored":\["key 1 is private"\].*a JWKS must have public keys only/)
})

test('an answer that does not end within 5 s is given up', async (t) => {
  for (const beginning of ['', '{"keys":[']) {
    const server = await JwksServer.start(t, signer)
    const isCut = new Promise<void>((resolve) => {
      server.answer = (response) => {
        response.on('close', resolve)
        response.flushHeaders()
        response.write(beginning)
      }
    })
    const { tokens, clock } = tokensOf(t, server)
    tokens.start()
    await until('the server is asked', () => server.asked === 1)
    clock.advance(4_999)
    assert.equal(tokens.status.problem, undefined)
    clock.advance(1)
    await readEnded(clock)
    assert.match(tokens.status.problem ?? '', / did not answer within 5 s: /)
    await isCut
  }
})

test('an outage of an hour: an attempt at least every 30 s, with a backoff, at the start and later', async (t) => {
  const server = await JwksServer.start(t, signer)
  const { tokens, clock, log } = tokensOf(t, server)
  const outage = async (): Promise<number[]> => {
    const end = clock.time + HOUR_MS
    const gaps: number[] = []
    for (;;) {
      const [next] = clock.timers.values()
      gaps.push(next!.at - clock.time)
      await nextRead(clock)
      if (clock.time > end) return gaps
    }
  }
  server.goDown()
  await started(tokens, clock)
  const gaps = await outage()
  assert.ok(gaps[0]! <= 1_000 && Math.max(...gaps) <= 30_000 && Math.max(...gaps) > 20_000)
  assert.ok(gaps.length >= 120 && gaps.length <= 260, `${gaps.length}`)
  server.publish(signer)
  await nextRead(clock)
  assert.equal((await tokens.check(await signer.token(clock.time))).kind, 'valid')

  server.goDown()
  await nextRead(clock)
  assert.ok((await outage()).length <= 260)
  assert.equal((await tokens.check(await signer.token(clock.time))).kind, 'valid')
  assert.equal(tokens.status.fetches, server.asked)
  assert.ok(log.length <= 6, log.join(''))
})

test('the keys are used for 24 h after they were read; then no token is judged, not even a known or a false one', async (t) => {
  const server = await JwksServer.start(t, signer)
  const { tokens, clock } = tokensOf(t, server)
  await started(tokens, clock)
  const token = await signer.token(clock.time, { exp: clock.time / 1_000 + 48 * 3_600 })
  server.goDown()
  await nextRead(clock)
  clock.advance((tokens.status.fetchedAtMs ?? 0) + 24 * HOUR_MS - clock.time)
  await readEnded(clock)
  assert.equal((await tokens.check(token)).kind, 'valid')
  clock.advance(1, false)
  for (const each of [token, `${token}x`, 'x', 'x'.repeat(10_000)]) {
    const verdict = await tokens.check(each)
    assert.ok(verdict.kind === 'no-keys' && verdict.retryAfterSeconds <= 30)
  }
  assert.equal(tokens.status.keys, 0)
  await nextRead(clock)
  assert.match(tokens.status.problem ?? '', /Its keys were read more than 24 h ago/)
  server.publish(signer)
  await nextRead(clock)
  assert.equal((await tokens.check(token)).kind, 'valid')
})

test('after a day in which the machine slept, the first token makes us read the keys again, once', async (t) => {
  const server = await JwksServer.start(t, signer)
  const { tokens, clock } = tokensOf(t, server)
  await started(tokens, clock)
  clock.advance(25 * HOUR_MS, false) // timers have stood still
  const token = await signer.token(clock.time)
  for (let each = 0; each < 10; each++) assert.equal((await tokens.check(token)).kind, 'no-keys')
  await until('the keys are read', () => tokens.status.keys === 1)
  assert.equal((await tokens.check(token)).kind, 'valid')
  assert.equal(tokens.status.fetches, 2)
})

test('when the clock was set back, no client is told to wait longer than we wait ourselves', async (t) => {
  const server = await JwksServer.start(t, signer)
  server.goDown()
  const { tokens, clock } = tokensOf(t, server)
  await started(tokens, clock)
  clock.time -= 365 * 24 * HOUR_MS
  const verdict = await tokens.check('x')
  assert.ok(verdict.kind === 'no-keys' && verdict.retryAfterSeconds <= 30)
})

test('the keys are read again when their answer says so, between a minute and an hour; else within 5 minutes', async (t) => {
  assert.equal(freshMs(null), 5 * MINUTE_MS)
  assert.equal(freshMs('public, no-transform'), 5 * MINUTE_MS)
  assert.equal(freshMs('public, max-age=600, must-revalidate'), 10 * MINUTE_MS)
  assert.equal(freshMs('Max-Age=5'), MINUTE_MS)
  assert.equal(freshMs('max-age=86400'), HOUR_MS)
  assert.equal(freshMs('s-max-age=600'), 5 * MINUTE_MS)
  assert.equal(freshMs('max-age=1e9'), 5 * MINUTE_MS)
  const server = await JwksServer.start(t, signer)
  const { tokens, clock } = tokensOf(t, server)
  await started(tokens, clock)
  const gaps = new Set<number>()
  for (let read = 0; read < 20; read++) {
    const [next] = clock.timers.values()
    gaps.add(next!.at - clock.time)
    await nextRead(clock)
  }
  // Not all processes at the same moment.
  assert.ok(gaps.size > 10 && Math.min(...gaps) >= 2.5 * MINUTE_MS && Math.max(...gaps) <= 5 * MINUTE_MS)
})

test('a file is read again within 2 s, whether it was written or replaced; a broken or deleted one changes nothing', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'jwks-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  const file = join(dir, 'jwks.json')
  const other = await Signer.make('two')
  const publish = (path: string, ...signers: Signer[]): void =>
    writeFileSync(path, JSON.stringify({ keys: signers.map((each) => each.jwk) }))
  publish(file, signer)
  const server = await JwksServer.start(t)
  const { tokens, clock } = tokensOf(t, server, { keys: { file } })
  await started(tokens, clock)
  const kindsOf = async (): Promise<string[]> => {
    const startMs = clock.time
    await nextRead(clock)
    assert.ok(clock.time - startMs <= 2_000)
    const verdicts = [signer, other].map(async (each) => tokens.check(await each.token(clock.time)))
    return (await Promise.all(verdicts)).map(({ kind }) => kind)
  }
  assert.deepEqual(await kindsOf(), ['valid', 'invalid'])
  publish(file, other)
  assert.deepEqual(await kindsOf(), ['invalid', 'valid'])
  publish(join(dir, 'next.json'), signer, other)
  renameSync(join(dir, 'next.json'), file)
  assert.deepEqual(await kindsOf(), ['valid', 'valid'])
  for (const [spoil, reason] of [
    [() => writeFileSync(file, 'hunter2'), / is not JSON: check JWT_JWKS_FILE\. /],
    [() => writeFileSync(file, ''), / is not JSON/],
    [() => writeFileSync(file, PADDING.repeat(2)), / is larger than 1 MiB/],
    [() => rmSync(file), / cannot be read: no such file or directory: check JWT_JWKS_FILE\. /],
  ] as const) {
    spoil()
    assert.deepEqual(await kindsOf(), ['valid', 'valid'])
    assert.match(tokens.status.problem ?? '', reason)
  }
  publish(file, other)
  assert.deepEqual(await kindsOf(), ['invalid', 'valid'])
  assert.equal(tokens.status.problem, undefined)
  assert.equal(server.asked, 0)
})

test('nothing is read after close(), and a read that runs is ended', async (t) => {
  const server = await JwksServer.start(t, signer)
  const { tokens, clock, log } = tokensOf(t, server)
  await started(tokens, clock)
  const isCut = new Promise<void>((resolve) => {
    server.answer = (response) => response.on('close', resolve).flushHeaders()
  })
  const [next] = clock.timers.values()
  clock.advance(next!.at - clock.time)
  await until('the server is asked', () => server.asked === 2)
  tokens.close()
  await isCut
  clock.advance(HOUR_MS)
  assert.equal(clock.timers.size, 0)
  assert.equal(tokens.status.fetches, 2)
  assert.equal(tokens.status.problem, undefined)
  assert.equal(log.length, 1)
})
