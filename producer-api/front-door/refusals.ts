/** The answers to requests whose credential does not let them in (RFC 6750, 3). None of them repeats what was sent. */
import type { Refusal } from '../intake/answer.ts'

const REALM = 'Bearer realm="firehose"'

/** 401. @param isMissing whether no credential was sent at all */
export function unauthorized(detail: string, isMissing = false): Refusal {
  const challenge = isMissing ? REALM : `${REALM}, error="invalid_token"`
  return { kind: 'refused', problem: 'unauthorized', detail, headers: { 'WWW-Authenticate': challenge } }
}

/** 403: the credential is valid, but not for this. */
export function forbidden(detail: string): Refusal {
  return { kind: 'refused', problem: 'forbidden', detail }
}

/** 503: whether the token is valid is not known. */
export function undecided(detail: string, retryAfterSeconds: number): Refusal {
  const headers = { 'Retry-After': String(retryAfterSeconds) }
  return { kind: 'refused', problem: 'not-accepted', detail, headers, reason: 'token_undecided' }
}
