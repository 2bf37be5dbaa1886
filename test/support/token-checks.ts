import { setImmediate as turn } from 'node:timers/promises'
import type { TestContext } from 'node:test'
import pino from 'pino'
import { type TokenSettings, Tokens } from '../../producer-api/front-door/tokens/tokens.ts'
import { FakeClock } from './fake-delivery.ts'
import type { JwksServer } from './jwks-server.ts'
import { AUDIENCE, ISSUER } from './signer.ts'

export const HOUR_MS = 3_600_000
export const MINUTE_MS = 60_000

/** A clock that stands still, at a whole second. */
export function clockOf2027(): FakeClock {
  const clock = new FakeClock()
  clock.time = Date.UTC(2027, 0, 31)
  return clock
}

/** Tokens of the tests' issuer, with keys from this server, by a clock that stands still. `log` gets every line. */
export function tokensOf(t: TestContext, server: JwksServer, changes: Partial<TokenSettings> = {}) {
  const clock = clockOf2027()
  const log: string[] = []
  const logger = pino({ level: 'trace' }, { write: (line: string) => void log.push(line) })
  const settings = {
    keys: { url: server.url },
    algorithms: ['RS256', 'ES256', 'EdDSA'],
    issuer: ISSUER,
    audience: [AUDIENCE],
    subjectIsUser: false,
    ...changes,
  }
  const tokens = new Tokens(settings, logger, clock)
  t.after(() => tokens.close())
  return { tokens, clock, log }
}

/** Waits until the read of the JWKS that runs has ended: the next one is then planned. */
export async function readEnded(clock: FakeClock): Promise<void> {
  const before = new Set(clock.timers.keys())
  const limit = performance.now() + 30_000
  while (clock.timers.size === 0 || [...clock.timers.keys()].some((id) => before.has(id))) {
    if (performance.now() > limit) throw new Error('the read of the JWKS does not end')
    await turn()
  }
}

/** Starts, and waits for the end of the first read. */
export async function started(tokens: Tokens, clock: FakeClock): Promise<void> {
  tokens.start()
  await readEnded(clock)
}

/** Lets the time pass until the next read of the JWKS is due, and waits for its end. */
export async function nextRead(clock: FakeClock): Promise<void> {
  const [next] = clock.timers.values()
  clock.advance(next!.at - clock.time)
  await readEnded(clock)
}
