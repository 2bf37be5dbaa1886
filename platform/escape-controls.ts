/**
 * Text as a terminal may show it: control characters (line breaks, escape sequences, also those of C1) and those that
 * turn the direction of writing are spelled out, `\n` or `\u009b`.
 */
export function escapeControls(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028-\u202e\u2066-\u2069]/gu, (char) => {
    const short = JSON.stringify(char).slice(1, -1)
    return short === char ? `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}` : short
  })
}
