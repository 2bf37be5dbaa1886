import { createHash } from 'node:crypto'

/** A load run. Two runs with the same seed and start make the same events. */
export interface Run {
  readonly seed: string
  /** Milliseconds since 1970; the time part of event 0's id. */
  readonly startedAtMs: number
  /** Four 32-bit words of the seed's hash. */
  readonly words: readonly [number, number, number, number]
  /** The last 1,000 seconds before the start as `YYYY-MM-DDTHH:MM:SS`, because formatting a date is expensive. */
  readonly seconds: readonly string[]
}

/** An event as it is sent. */
export interface SentEvent {
  /** The whole JSON text that is sent, on one line. */
  body: string
  /** UTF-8 length of `body`; equal to `body.length` when the body is ASCII. */
  bodyBytes: number
}

/** What a load sends: event `n` is the same bytes whenever it is asked for. */
export interface Events {
  of(n: number): SentEvent
  /** The id of event `n`, lower case; undefined if it has none, so that the API makes one. */
  idOf(n: number): string | undefined
  /** The User-Agent of a request that begins with event `n`, ASCII; none by default. */
  userAgentOf?(n: number): string
}

/** An event with an id and the fields that every event has had from the first version on. */
export interface RunEvent extends SentEvent {
  /** UUIDv7, lower case. */
  eventId: string
  /** Decimal integer in the range of int8 (sometimes above 2^53). */
  userId: string
  /** RFC 3339 with microseconds; sometimes with an offset other than UTC. */
  timestamp: string
  /** JSON text of the metadata object. */
  metadata: string
}

/** Ids per millisecond: a 12-bit counter in `rand_a` keeps them in order (RFC 9562, 6.2). */
const IDS_PER_MS = 4096

const HEX4 = Array.from({ length: 65_536 }, (_, word) => word.toString(16).padStart(4, '0'))

/** Prepares a run: hashes the seed once, so that each event takes only a few integer operations. */
export function openRun(options: { seed: string; startedAtMs: number }): Run {
  const hash = createHash('sha256').update(options.seed).digest()
  return {
    ...options,
    words: [hash.readUInt32LE(0), hash.readUInt32LE(4), hash.readUInt32LE(8), hash.readUInt32LE(12)],
    seconds: Array.from({ length: 1000 }, (_, ago) =>
      new Date(options.startedAtMs - ago * 1000).toISOString().slice(0, 19),
    ),
  }
}

/** The events of a run as they are sent by default, about 260 bytes each. */
export function plainEvents(run: Run): Events {
  return { of: (n) => eventOf(run, n), idOf: (n) => eventIdOf(run, n) }
}

/** The same with four short texts: what most clickstreams have. */
export function namedEvents(run: Run): Events {
  const of = (n: number): SentEvent => {
    const { body, bodyBytes } = eventOf(run, n)
    const r = mix(n ^ run.words[1])
    const texts = `"event_name":"${NAMES[r % NAMES.length]}","event_type":"track","session_id":"s-${HEX4[r >>> 16]}${HEX4[r & 0xffff]}","source":"web-shop",`
    return { body: `{${texts}${body.slice(1)}`, bodyBytes: bodyBytes + texts.length }
  }
  return { of, idOf: (n) => eventIdOf(run, n) }
}
const NAMES = ['page_viewed', 'product_clicked', 'cart_changed', 'checkout_completed']

/** The id of event `n` of the run. Ids of a run are distinct and ascend with `n`. */
export function eventIdOf(run: Run, n: number): string {
  const time = run.startedAtMs + Math.floor(n / IDS_PER_MS)
  const timeHigh = Math.floor(time / 65_536)
  const a = mix(n ^ run.words[0])
  const b = mix(n ^ run.words[1])
  return (
    `${HEX4[timeHigh >>> 16]}${HEX4[timeHigh & 0xffff]}-${HEX4[time % 65_536]}` +
    `-${HEX4[0x7000 | (n % IDS_PER_MS)]}-${HEX4[0x8000 | (a >>> 18)]}` +
    `-${HEX4[a & 0xffff]}${HEX4[b >>> 16]}${HEX4[b & 0xffff]}`
  )
}

/** Event `n` of the run: the same run and `n` give the same bytes, on any machine, at any time. */
export function eventOf(run: Run, n: number): RunEvent {
  const r = mix(n ^ run.words[2])
  const eventId = eventIdOf(run, n)
  const userId = userIdOf(n, r)
  const timestamp = timestampOf(run, n, r)
  const metadata = metadataOf(run, n, r)
  const body = `{"event_id":"${eventId}","user_id":${userId},"timestamp":"${timestamp}","metadata":${metadata}}`
  return {
    eventId,
    userId,
    timestamp,
    metadata,
    body,
    bodyBytes: hasUnicode(n) ? utf8Bytes(body) : body.length,
  }
}

function userIdOf(n: number, r: number): string {
  if (n % 101 === 100) return `9223372036854${String(r % 775_808).padStart(6, '0')}`
  if (n % 103 === 50) return String(-(r % 1_000_000) - 1)
  return String((r % 1_000_000) + 1)
}

function timestampOf(run: Run, n: number, r: number): string {
  return `${run.seconds[r % 1000]}.${String(n % 1_000_000).padStart(6, '0')}${n % 32 === 5 ? '+05:30' : 'Z'}`
}

function metadataOf(run: Run, n: number, r: number): string {
  // `12.50` keeps its zero in jsonb but not in JavaScript: this detects a store that parses and re-serialises.
  const start = `{"n":${n},"page":"/shop/${r % 5000}","session":"${HEX4[r >>> 16]}${HEX4[mix(r ^ run.words[3]) & 0xffff]}"`
  const end = `,"price":${r % 100}.50,"view":{"w":1280,"h":${r % 2000},"tags":["a",null,${n % 2 === 0}]}}`
  if (hasUnicode(n)) return `${start},"title":"Grüße \u2028東京 🚀 \\u00e9 \\"q\\" \\\\ \\n"${end}`
  if (n % 64 === 7) return `${start},"big":12345678901234567890123456789${n}${end}`
  return start + end
}

function hasUnicode(n: number): boolean {
  return n % 16 === 3
}

function utf8Bytes(text: string): number {
  return Buffer.byteLength(text, 'utf8')
}

/** MurmurHash3's finaliser: a bijection on 32 bits, so distinct `n` stay distinct. */
export function mix(x: number): number {
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b)
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35)
  return (x ^ (x >>> 16)) >>> 0
}
