/** What the answers of the API mean to a client. Pure. */
import { KEY_REMEDY } from './remedies.ts'

export interface Answer {
  status: number
  body: string
}

export type Meaning =
  | { kind: 'accepted'; eventId: string }
  /** `sentences` say why, each with its pointer if it has one. */
  | { kind: 'refused'; sentences: string[] }
  /** The key is missing or not valid, so that no event will be accepted. */
  | { kind: 'unauthorized'; sentence: string }
  /** The same event may be accepted later. */
  | { kind: 'try_again'; why: string; mayBeAccepted: boolean }

interface Body {
  event_id?: unknown
  detail?: unknown
  errors?: unknown
  outcome?: unknown
}

export function meaningOf({ status, body }: Answer): Meaning {
  const { event_id, detail, errors, outcome } = parse(body)
  if (status === 202 && typeof event_id === 'string') return { kind: 'accepted', eventId: event_id }
  const what = typeof detail === 'string' ? detail : `The answer is HTTP ${status}, and not one of Firehose.`
  if (status === 429) {
    const why = `${what} A longer --retry-for waits for that.`
    return { kind: 'try_again', why, mayBeAccepted: false }
  }
  if (status >= 500 || status === 408) {
    return { kind: 'try_again', why: what, mayBeAccepted: outcome !== 'not_accepted' }
  }
  if (status === 401) return { kind: 'unauthorized', sentence: `${what} ${KEY_REMEDY}` }
  if (status === 403) return { kind: 'refused', sentences: [`${what} ${KEY_REMEDY}`] }
  const faults = Array.isArray(errors) ? errors.map(sentenceOf) : []
  return { kind: 'refused', sentences: faults.length > 0 ? faults : [what] }
}

function parse(body: string): Body {
  try {
    const parsed: unknown = JSON.parse(body)
    return typeof parsed === 'object' && parsed !== null ? parsed : {}
  } catch {
    return {}
  }
}

function sentenceOf(error: unknown): string {
  const { pointer, detail } = error as { pointer?: unknown; detail?: unknown }
  const sentence = typeof detail === 'string' ? detail : 'The event is not valid.'
  return typeof pointer === 'string' && pointer !== '' ? `${pointer}: ${sentence}` : sentence
}

/** Codes of errors before a connection is established. */
const NOT_CONNECTED = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH']

/** What it means that fetch() failed: perhaps only the answer was lost. */
export function meaningOfFailure(error: unknown): Extract<Meaning, { kind: 'try_again' }> {
  // fetch() itself says only "fetch failed".
  const cause = (error as { cause?: unknown }).cause ?? error
  const { message = '', code, errors = [] } = cause as { message?: string; code?: string; errors?: Error[] }
  // Several addresses were tried: an AggregateError has no message of its own.
  const why = message || errors.map((each) => each.message).join(', ') || String(cause)
  return {
    kind: 'try_again',
    why: `${why.replace(/\.$/, '')}.`,
    mayBeAccepted: !NOT_CONNECTED.includes(code ?? ''),
  }
}
