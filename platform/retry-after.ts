/**
 * How long a server asks to wait with the next attempt, in milliseconds: `Retry-After` is a number of seconds or a date
 * (RFC 9110); 0 without one.
 */
export function retryAfterMs(value: string | null | undefined, nowMs = Date.now()): number {
  if (value === null || value === undefined) return 0
  if (/^\d+$/.test(value)) return Number(value) * 1_000
  return Math.max(0, Date.parse(value) - nowMs || 0)
}
