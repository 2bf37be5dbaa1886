import { setTimeout as sleep } from 'node:timers/promises'

/** Less where a test is expected to wait in vain: test/guards/guards.test.ts. */
const LIMIT_MS = Number(process.env.UNTIL_LIMIT_MS || 30_000)

/**
 * Waits until the condition returns something other than false, null or undefined, and returns that.
 *
 * @throws after `limitMs`, with `what` in the message
 */
export async function until<T>(
  what: string,
  condition: () => T | Promise<T>,
  limitMs = LIMIT_MS,
): Promise<NonNullable<T>> {
  const end = performance.now() + limitMs
  for (;;) {
    const value = await condition()
    if (value !== false && value !== null && value !== undefined) return value
    if (performance.now() > end) throw new Error(`timed out after ${limitMs} ms: ${what}`)
    await sleep(20)
  }
}
