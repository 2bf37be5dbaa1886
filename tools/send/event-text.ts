/** The text of an event to send. Metadata are copied as they were given, because a JavaScript number would round them. */
import { JsonScan, KIND_OBJECT, KIND_STRING } from '../../event/json/scan-result.ts'
import { scanText } from '../../event/json/scan.ts'

/** The texts of an event's fields, by the option that gives them. */
const TEXTS = {
  'event-id': 'event_id',
  'user-id': 'user_id',
  anonymous: 'anonymous_id',
  name: 'event_name',
  type: 'event_type',
  session: 'session_id',
  source: 'source',
  timestamp: 'timestamp',
} as const

/** The options that make up an event. */
export type EventOptions = { readonly [O in keyof typeof TEXTS | 'metadata']?: string | undefined }

/** An event that can be sent again and again, and is stored once. */
export interface Prepared {
  body: Buffer
  /** As the event has it; undefined if it has none that can be read, so that the API will refuse it. */
  eventId: string | undefined
}

/** What an event gets if it lacks it. */
export interface Defaults {
  event_id: string
  timestamp: string
}

const scan = new JsonScan()

/**
 * The event that these options describe; only the API checks whether it is valid. A user id is sent as a string, which is
 * right for both types of user_id.
 *
 * @throws an Error with one sentence
 */
export function eventFromOptions(options: EventOptions): Buffer {
  const { 'user-id': userId, anonymous, name, metadata } = options
  if ((userId ?? anonymous) === undefined || (name ?? metadata) === undefined) {
    throw new Error('An event needs --user-id or --anonymous, and --name or --metadata.')
  }
  // Anything else could add fields, or end the event.
  if (metadata !== undefined && !isJson(Buffer.from(metadata))) {
    throw new Error(`--metadata is not JSON at byte ${scan.errorOffset}: ${scan.errorReason}.`)
  }
  const members = Object.entries(TEXTS).flatMap(([option, field]) => {
    const text = options[option as keyof typeof TEXTS]
    return text === undefined ? [] : [`"${field}":${JSON.stringify(text)}`]
  })
  return Buffer.from(`{${members.join(',')},"metadata":${metadata ?? '{}'}}`)
}

/** Adds the members that the event lacks. What is not a JSON object stays as it is, for the API to refuse. */
export function prepare(event: Buffer, defaults: Defaults): Prepared {
  if (!isJson(event) || scan.kind !== KIND_OBJECT) return { body: event, eventId: undefined }
  const names = Array.from({ length: scan.memberCount }, (_, i) => scan.name(event, i))
  const at = names.indexOf('event_id')
  const ownId = at >= 0 && scan.valueKind[at] === KIND_STRING ? scan.string(event, at) : undefined
  const added = Object.entries(defaults)
    .filter(([name]) => !names.includes(name))
    .map(([name, value]) => `${JSON.stringify(name)}:${JSON.stringify(value)}`)
  const first = scan.start + 1
  const separator = added.length > 0 && names.length > 0 ? ',' : ''
  const body = Buffer.concat([
    event.subarray(0, first),
    Buffer.from(added.join(',') + separator),
    event.subarray(first),
  ])
  return { body, eventId: at >= 0 ? ownId : defaults.event_id }
}

export function isJson(text: Buffer): boolean {
  return scanText(text, 0, text.length, scan)
}
