import { setTimeout as delay } from 'node:timers/promises'
import { v7 } from 'uuid'
import { backoffMs } from '../../platform/backoff.ts'
import { escapeControls } from '../../platform/escape-controls.ts'
import { retryAfterMs } from '../../platform/retry-after.ts'
import { type Meaning, meaningOf, meaningOfFailure } from './answer.ts'
import { type Prepared, prepare } from './event-text.ts'

export interface SendOptions {
  /** The address of the API, without `/event`. */
  url: string
  /** Sent as `Authorization: Bearer`. */
  key?: string | undefined
  /** For how long a failed attempt is followed by another one. */
  retryMs: number
  /** Ends the attempts. */
  signal: AbortSignal
  onAccepted: (eventId: string) => void
  /** Called with one sentence; `event` counts from 1. */
  onTrouble: (event: number, sentence: string) => void
}

const ATTEMPT_MS = 15_000
const BACKOFF = { firstMs: 250, lastMs: 5_000 }

/**
 * Sends events one after the other, each until it is accepted or refused. Ends with the first one that is neither within
 * `retryMs`, or for which the key is not valid.
 *
 * @returns whether there were events, and all were accepted
 */
export async function sendEvents(
  events: Iterable<Buffer> | AsyncIterable<Buffer>,
  options: SendOptions,
): Promise<boolean> {
  let count = 0
  let accepted = 0
  for await (const event of events) {
    if (options.signal.aborted) return false
    count += 1
    const prepared = prepare(event, { event_id: v7(), timestamp: new Date().toISOString() })
    const result = await sendEvent(prepared.body, options)
    switch (result.kind) {
      case 'accepted':
        accepted += 1
        options.onAccepted(result.eventId)
        break
      case 'refused':
        for (const sentence of result.sentences) options.onTrouble(count, sentence)
        break
      case 'unauthorized':
        options.onTrouble(count, result.sentence)
        return false
      case 'try_again':
        options.onTrouble(count, gaveUpText(prepared, result, options))
        return false
    }
  }
  return count > 0 && accepted === count
}

/** Sends the same bytes until the answer is final, or `retryMs` have passed. */
async function sendEvent(body: Buffer, options: SendOptions): Promise<Meaning> {
  const { url, key, retryMs, signal } = options
  const startMs = performance.now()
  let mayBeAccepted = false
  for (let failures = 0; ; failures++) {
    const { meaning, askedMs } = await attempt({ url: `${url.replace(/\/$/, '')}/event`, key, body, signal })
    if (meaning.kind === 'unauthorized' && mayBeAccepted)
      return { kind: 'try_again', why: meaning.sentence, mayBeAccepted }
    if (meaning.kind !== 'try_again') return meaning
    mayBeAccepted ||= meaning.mayBeAccepted
    const waitMs = askedMs + backoffMs(BACKOFF, failures)
    if (signal.aborted || performance.now() - startMs + waitMs > retryMs) return { ...meaning, mayBeAccepted }
    await delay(waitMs, undefined, { signal }).catch(() => {})
  }
}

interface Attempt {
  url: string
  key: string | undefined
  body: Buffer
  signal: AbortSignal
}

async function attempt({ url, key, body, signal }: Attempt): Promise<{ meaning: Meaning; askedMs: number }> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/json',
        ...(key === undefined ? {} : { Authorization: `Bearer ${key}` }),
      },
      body,
      signal: AbortSignal.any([signal, AbortSignal.timeout(ATTEMPT_MS)]),
    })
    const meaning = meaningOf({ status: response.status, body: await response.text() })
    return { meaning, askedMs: retryAfterMs(response.headers.get('Retry-After')) }
  } catch (error) {
    return { meaning: meaningOfFailure(error), askedMs: 0 }
  }
}

function gaveUpText(
  { body, eventId }: Prepared,
  { why, mayBeAccepted }: Extract<Meaning, { kind: 'try_again' }>,
  { url, retryMs, signal }: SendOptions,
): string {
  const limit = signal.aborted ? 'before it was stopped' : `within ${retryMs / 1_000} s`
  const outcome = `${url} did not accept the event ${limit}: ${why}`
  if (!mayBeAccepted) return outcome
  // A line break is white space between JSON tokens. Within strings, the other characters may be escaped.
  const line = escapeControls(body.toString().replaceAll(/[\t\r\n]/g, ' '))
  return `${outcome} It may have been accepted (event_id ${eventId ?? 'unknown'}); send exactly this again, and it is stored once:\n${line}`
}
