/** Error responses: RFC 9457 problem details. */

/** One fault of a request. */
export interface ProblemError {
  /** RFC 6901 pointer into the body. */
  pointer: string
  /** A sentence that says what is expected. */
  detail: string
}

/** Every problem type of the API: the name is the last segment of `type`. */
export const PROBLEMS = {
  'bad-request': { status: 400, title: 'The request is not valid HTTP' },
  'not-json': { status: 400, title: 'The body is not JSON' },
  'not-utf8': { status: 400, title: 'The body is not UTF-8' },
  unauthorized: { status: 401, title: 'The credential is missing or not valid' },
  forbidden: { status: 403, title: 'The credential does not allow this' },
  'foreign-origin': { status: 403, title: 'Pages of this origin may not send events' },
  'not-found': { status: 404, title: 'The path does not exist' },
  'method-not-allowed': { status: 405, title: 'The path does not allow this method' },
  'request-timeout': { status: 408, title: 'The request did not arrive in time' },
  'too-large': { status: 413, title: 'The request is over a size limit' },
  'unsupported-media-type': { status: 415, title: 'The content type or encoding is not supported' },
  'invalid-event': { status: 422, title: 'The body is not a valid event' },
  'rate-limited': { status: 429, title: 'The client sends more than its limit allows' },
  'headers-too-large': { status: 431, title: 'The request headers are too large' },
  internal: { status: 500, title: 'The server failed' },
  'not-accepted': { status: 503, title: 'The event was not accepted' },
  'outcome-unknown': { status: 503, title: 'It is not known whether the event was accepted' },
} as const satisfies Record<string, { status: number; title: string }>

export type ProblemKind = keyof typeof PROBLEMS

/** The members of RFC 9457 and the extensions of this API. */
export interface ProblemBody {
  /** Relative reference: `/problems/<kind>`. */
  type: string
  title: string
  status: number
  detail: string
  errors?: ProblemError[]
  event_ids?: (string | null)[]
  outcome?: 'not_accepted' | 'unknown'
}

export interface ProblemExtensions {
  errors?: ProblemError[]
  /**
   * For 503: the ids of all events, including generated ones, so that the client can send the same events again; null for
   * the faulty ones of a lenient batch.
   */
  eventIds?: (string | null)[]
}

export const PROBLEM_CONTENT_TYPE = 'application/problem+json'

/** Builds the response body; respond with its `status`. `outcome` follows from the kind. */
export function problem(kind: ProblemKind, detail: string, extensions: ProblemExtensions = {}): ProblemBody {
  const { status, title } = PROBLEMS[kind]
  const body: ProblemBody = { type: `/problems/${kind}`, title, status, detail }
  if (extensions.errors !== undefined) body.errors = extensions.errors
  if (extensions.eventIds !== undefined) body.event_ids = extensions.eventIds
  if (kind === 'not-accepted') body.outcome = 'not_accepted'
  if (kind === 'outcome-unknown') body.outcome = 'unknown'
  return body
}
