/** Lists in header fields whose items may be quoted strings (RFC 9110, 5.6). */

/** The parts of a field value between separators that do not stand within a quoted string. Linear in its length. */
export function splitUnquoted(text: string, separator: ',' | ';'): string[] {
  const parts: string[] = []
  let start = 0
  let isQuoted = false
  for (let at = 0; at < text.length; at++) {
    const c = text[at]
    if (c === '"') isQuoted = !isQuoted
    else if (isQuoted && c === '\\') at++
    else if (!isQuoted && c === separator) {
      parts.push(text.slice(start, at))
      start = at + 1
    }
  }
  parts.push(text.slice(start))
  return parts
}

/** A `name=value` with the name in lowercase and the value without its quotes; the value is empty if there is none. */
export function nameAndValue(part: string): [name: string, value: string] {
  const equals = part.indexOf('=')
  if (equals < 0) return [part.trim().toLowerCase(), '']
  return [part.slice(0, equals).trim().toLowerCase(), unquoted(part.slice(equals + 1).trim())]
}

/** The text of a quoted string, or the text itself if it is none. */
export function unquoted(text: string): string {
  const isQuoted = text.length > 1 && text.startsWith('"') && text.endsWith('"')
  return isQuoted ? text.slice(1, -1).replaceAll(/\\(.)/g, '$1') : text
}
