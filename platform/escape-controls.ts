/**
 * Makes text safe for a terminal: escapes control characters (C0 and C1, including line breaks) and characters that change
 * the text direction, as `\n` or `\u009b`.
 */
export function escapeControls(text: string): string {
  return text.replaceAll(/[\p{Cc}\u2028-\u202e\u2066-\u2069]/gu, (char) => {
    const short = JSON.stringify(char).slice(1, -1)
    return short === char ? `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}` : short
  })
}
