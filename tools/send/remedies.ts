/** What to do about an answer that depends on the client's key, and not on its events. */
export const KEY_REMEDY =
  'Set API_KEY, or API_KEY_FILE, to the secret of a server key; "npx firehose keys create LABEL --kind server" makes one.'

const REMEDIES: ReadonlyMap<string, string> = new Map([
  ['401', `HTTP 401: the key is missing or not valid. ${KEY_REMEDY}`],
  ['403', `HTTP 403: this key may not send these events. ${KEY_REMEDY}`],
  [
    '429',
    "HTTP 429: a limit is reached. Send more slowly, or raise it: the key's own, KEY_EVENTS_PER_SECOND or ADDRESS_REQUESTS_PER_SECOND.",
  ],
])

/** What to do about failures of these kinds. @param kinds those that are none of these statuses are ignored */
export function remediesFor(kinds: readonly string[]): string[] {
  return kinds.toSorted().flatMap((kind) => REMEDIES.get(kind) ?? [])
}
