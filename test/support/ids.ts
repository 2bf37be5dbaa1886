import { MAX, NIL, v1, v4, v5, v6, v7 } from 'uuid'
import { firstIdAt } from '../../postgres/partitions/ranges.ts'
import { seededRandom } from '../../tools/drill/plan.ts'

const DAY_MS = 86_400_000
const MOST_DAYS = 400
const LARGEST_TIME_MS = 2 ** 48 - 1

/**
 * Ids of every version (RFC 9562): nil, max, 1, 4, 5, 6, 7 and 8; those with a time lie within 400 days to both sides of a
 * moment, some of version 7 anywhere between 1970 and 10889, and some from that moment to `days` later. All differ.
 */
export function idsOfEveryVersion(count: number, atMs: number, days: number, seed: number): string[] {
  const next = seededRandom(seed)
  const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, () => next() * 256)
  const near = (): number => Math.floor(atMs + (next() * 2 - 1) * MOST_DAYS * DAY_MS)
  const kinds: readonly (() => string)[] = [
    () => v1({ msecs: near(), nsecs: next() * 10_000, clockseq: next() * 0x3fff, node: bytes(6) }),
    () => v4({ random: bytes(16) }),
    () => v5(`https://example.com/${next()}`, v5.URL),
    () => v6({ msecs: near(), nsecs: next() * 10_000, clockseq: next() * 0x3fff, node: bytes(6) }),
    () => v7({ msecs: near(), random: bytes(16), seq: next() * 2 ** 32 }),
    () => versionEight(bytes(16)),
    () => v7({ msecs: Math.floor(next() * LARGEST_TIME_MS), random: bytes(16), seq: next() * 2 ** 32 }),
    () => v7({ msecs: Math.floor(atMs + next() * days * DAY_MS), random: bytes(16), seq: next() * 2 ** 32 }),
  ]
  const ids = new Set<string>([NIL, MAX])
  while (ids.size < count) ids.add(kinds[ids.size % kinds.length]!())
  return [...ids]
}

function versionEight(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20)}`
}

/** A UUIDv7 of the moment. */
export function idAt(ms: number, n = 0): string {
  return `${firstIdAt(ms).slice(0, 14)}7000-8000-${n.toString(16).padStart(12, '0')}`
}

/** A new UUIDv7 of a moment, as SQL. */
export function idSql(ms: number): string {
  const start = `${firstIdAt(ms).slice(0, 14)}7`
  return `overlay(overlay(gen_random_uuid()::text placing '${start}' from 1 for 15) placing '8' from 20 for 1)::uuid`
}
