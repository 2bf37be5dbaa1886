import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Waits until the condition gives something other than false, null or undefined, and returns that.
 *
 * @throws when `limitMs` has passed, with `what`
 */
export async function until<T>(
  what: string,
  condition: () => T | Promise<T>,
  limitMs = 30_000,
): Promise<NonNullable<T>> {
  const end = performance.now() + limitMs
  for (;;) {
    const value = await condition()
    if (value !== false && value !== null && value !== undefined) return value
    if (performance.now() > end) throw new Error(`waited ${limitMs} ms in vain: ${what}`)
    await sleep(20)
  }
}
