// Settings are environment variables: `k6 run -e RATE=1000 k6/event.ts`. `npx firehose k6` sets them from its options.

/** Base URL of the API. */
export const apiUrl = (__ENV.API_URL || 'http://127.0.0.1:8000').replace(/\/$/, '')

/** Where the API serves /health. */
export const apiOpsUrl = (__ENV.API_OPS_URL || apiUrl).replace(/\/$/, '')

/**
 * The key with which events are sent. Export it before k6 is started: with `-e`, it would stand in the list of processes.
 * Never to be shown.
 */
export const apiKey = __ENV.API_KEY

/** An integer of at least 1. @throws an error naming the variable */
export function count(name: string, fallback: number): number {
  const value = Number(__ENV[name] || fallback)
  if (!Number.isInteger(value) || value < 1) throw new Error(`${name} must be an integer of 1 or more`)
  return value
}

/** A duration such as `60s`, `5m` or `1m30s`, in seconds. @throws an error naming the variable */
export function seconds(name: string, fallback: string): number {
  const text = __ENV[name] || fallback
  if (!/^(\d+[hms])+$/.test(text)) throw new Error(`${name} must be a duration such as 60s or 1m30s`)
  let sum = 0
  for (const [, value, unit] of text.matchAll(/(\d+)([hms])/g)) {
    sum += Number(value) * (unit === 'h' ? 3600 : unit === 'm' ? 60 : 1)
  }
  return sum
}
