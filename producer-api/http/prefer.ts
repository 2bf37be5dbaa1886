import type { IncomingMessage } from 'node:http'
import { nameAndValue, splitUnquoted } from './quoted-list.ts'

/** What an answer says when the preference was honoured. */
export const LENIENT_APPLIED = { 'Preference-Applied': 'handling=lenient' }

/**
 * Whether the client prefers `handling=lenient` (RFC 7240): that good events are taken although others have faults. If a
 * preference is there twice, the first one counts; parameters and other preferences are ignored.
 */
export function prefersLenient({ headers }: IncomingMessage): boolean {
  const { prefer } = headers
  if (prefer === undefined) return false
  // Node joins the values of several headers with commas.
  for (const preference of splitUnquoted(String(prefer), ',')) {
    const [name, value] = nameAndValue(splitUnquoted(preference, ';')[0] ?? '')
    if (name === 'handling') return value.toLowerCase() === 'lenient'
  }
  return false
}
