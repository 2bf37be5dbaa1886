/** Whether this is the address of an HTTP server: with a host and a port that can exist, and without a user. */
export function isHttpAddress(text: string): boolean {
  if (!/^https?:\/\//.test(text) || !URL.canParse(text)) return false
  const { username, password, port } = new URL(text)
  return username === '' && password === '' && port !== '0'
}

/** An address as it may be shown: what precedes an "@" may be a password. */
export function shownAddress(text: string): string {
  return text.includes('@') ? 'an address with "@"' : `"${text}"`
}
