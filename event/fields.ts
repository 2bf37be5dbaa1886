/** The canonical texts of user_id and event_id. */

const INT8_MAX = '9223372036854775807'
const INT8_MIN_DIGITS = '9223372036854775808'
/** RFC 9562 section 4, any version and variant: PostgreSQL's uuid takes them all. */
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const UUID_ANY_CASE = new RegExp(UUID, 'i')

/**
 * The canonical text of a JSON number token that is a decimal integer within int8 (PostgreSQL's bigint), or undefined.
 * Compared as text, because a JavaScript number would round. `1.0` and `1e3` are no integers here; `-0` is `0`.
 */
export function canonicalUserId(token: string): string | undefined {
  const negative = token.charCodeAt(0) === 0x2d
  const digits = negative ? token.slice(1) : token
  if (digits.length === 0 || digits.length > INT8_MAX.length) return undefined
  for (let i = 0; i < digits.length; i++) {
    const c = digits.charCodeAt(i)
    if (c < 0x30 || c > 0x39) return undefined
  }
  if (digits.charCodeAt(0) === 0x30) return digits.length === 1 ? '0' : undefined
  // Of two texts with as many digits, the greater number is the greater text.
  if (digits.length === INT8_MAX.length && digits > (negative ? INT8_MIN_DIGITS : INT8_MAX)) return undefined
  return token
}

/** The UUID in lower case with hyphens, or undefined when the text is not one in that form (no braces, no urn:). */
export function canonicalUuid(text: string): string | undefined {
  if (UUID.test(text)) return text
  return UUID_ANY_CASE.test(text) ? text.toLowerCase() : undefined
}
