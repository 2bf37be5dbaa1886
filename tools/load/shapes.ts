/** Events of all shapes: any subset of the optional fields, in any order, with texts that are hard to copy. */
import { eventIdOf, eventOf, type Events, mix, type Run, type SentEvent } from './events.ts'

/** The type of user_id that the API takes (USER_ID_TYPE). An integer is valid for both. */
export type UserIds = 'bigint' | 'text'

/** The optional texts, and the most characters of each. */
const TEXTS = [
  ['anonymous_id', 255],
  ['event_name', 255],
  ['event_type', 100],
  ['session_id', 255],
  ['source', 100],
] as const

/** Each takes one byte, two, three or four, or an escape, as UTF-8 and as JSON. */
const CHARACTERS = ['x', 'é', '東', '😀', '"', '\\', '\u0001', '\u007f', '\u2028', '\u0301']
const AWKWARD = [
  '0',
  'null',
  ' ',
  '\\N',
  '"quoted" \\ and / \b\f\n\r\t',
  `'; DROP TABLE events; --`,
  ',"metadata":{',
  '","received_at":"2026-01-01T00:00:00.000000Z',
  '\ufeffBOM',
  'Grüße \u2028東京\u2029 👩‍👩‍👧 é e\u0301',
  '\u202eright to left',
  '<script>alert(1)</script>',
]

/** For CAPTURE_CLIENT; the longest is cut by the API. */
const USER_AGENTS = [
  'Mozilla/5.0 (X11; Linux x86_64)',
  'a "quoted" \\ agent, "metadata":{',
  'x'.repeat(2_000),
  '0',
]

export function shapedEvents(run: Run, userIds: UserIds): Events {
  return {
    of: (n) => shapedEventOf(run, n, userIds),
    idOf: (n) => shapedIdOf(run, n),
    userAgentOf: (n) => USER_AGENTS[n % USER_AGENTS.length]!,
  }
}

/** One event in four leaves it to the API to make an id. */
function shapedIdOf(run: Run, n: number): string | undefined {
  return new Draws(run, n).below(4) === 0 ? undefined : eventIdOf(run, n)
}

function shapedEventOf(run: Run, n: number, userIds: UserIds): SentEvent {
  const plain = eventOf(run, n)
  const draws = new Draws(run, n)
  const members: string[] = []
  const hasId = draws.below(4) !== 0 // as in shapedIdOf()
  if (hasId) {
    members.push(`"event_id":"${draws.below(8) === 0 ? plain.eventId.toUpperCase() : plain.eventId}"`)
  }
  const isAnonymous = draws.below(4) === 0
  if (!isAnonymous) members.push(`"user_id":${userIdOf(plain.userId, userIds, draws)}`)
  else if (draws.below(2) === 0) members.push('"user_id":null')
  for (const [name, most] of TEXTS) {
    const isNeeded = isAnonymous && name === 'anonymous_id'
    if (!isNeeded && draws.below(2) === 0) continue
    const value = !isNeeded && draws.below(8) === 0 ? 'null' : jsonOf(textOf(most, draws), draws)
    members.push(`"${name}":${value}`)
  }
  members.push(`"timestamp":"${plain.timestamp}"`, `"metadata":${plain.metadata}`)
  const body = `{${shuffled(members, draws).join(',')}}`
  return { body, bodyBytes: Buffer.byteLength(body) }
}

function userIdOf(integer: string, userIds: UserIds, draws: Draws): string {
  if (userIds === 'text' && draws.below(2) === 0) return jsonOf(textOf(255, draws), draws)
  return draws.below(4) === 0 ? `"${integer}"` : integer
}

/** A text of 1 to `most` characters: half of them are short, a few as long as can be. */
function textOf(most: number, draws: Draws): string {
  const kind = draws.below(16)
  if (kind < 8) return `name_${draws.below(50)}`
  if (kind < 14) return AWKWARD[draws.below(AWKWARD.length)]!
  const character = CHARACTERS[draws.below(CHARACTERS.length)]!
  return character.repeat(kind === 14 ? most : 1 + draws.below(most))
}

/** One in four has only ASCII, as Python's json.dumps() writes it. */
function jsonOf(text: string, draws: Draws): string {
  const json = JSON.stringify(text)
  if (draws.below(4) !== 0) return json
  return json.replaceAll(/[^ -~]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

function shuffled(members: readonly string[], draws: Draws): string[] {
  const left = [...members]
  const taken: string[] = []
  while (left.length > 0) taken.push(...left.splice(draws.below(left.length), 1))
  return taken
}

/** Pseudorandom numbers that depend on the run and the event alone. */
class Draws {
  #state: number

  constructor(run: Run, n: number) {
    this.#state = mix(n ^ run.words[3]) ^ mix(Math.floor(n / 2 ** 32) ^ run.words[2])
  }

  /** A whole number from 0 to `limit - 1`. */
  below(limit: number): number {
    this.#state = (this.#state + 0x9e3779b9) | 0
    return mix(this.#state) % limit
  }
}
