/** A string and the colon after it, if it is the name of a member; or where an object or array begins or ends. */
const TOKEN = /"((?:[^"\\]|\\.)*)"(\s*:)?|[{}[\]]/g

/**
 * Whether a JSON text has an object with two members of the same name. JSON.parse() would silently take the last one.
 *
 * @param text valid JSON
 */
export function hasRepeatedMember(text: string): boolean {
  const open: Set<unknown>[] = []
  for (const [token, name, colon] of text.matchAll(TOKEN)) {
    if (token === '{' || token === '[') open.push(new Set())
    else if (token === '}' || token === ']') open.pop()
    else if (colon !== undefined) {
      const names = open.at(-1)
      const plain: unknown = JSON.parse(`"${name}"`) // \u0065 is e
      if (names?.has(plain)) return true
      names?.add(plain)
    }
  }
  return false
}
