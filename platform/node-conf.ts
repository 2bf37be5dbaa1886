import { readFileSync } from 'node:fs'

const lines = readFileSync(new URL('node.conf', import.meta.url), 'utf8').split('\n')

/** Node's flags in node.conf. */
export const NODE_FLAGS: readonly string[] = lines.filter((line) => line.startsWith('-'))

/** The variables in node.conf. */
export const NODE_VARIABLES: Readonly<Record<string, string>> = Object.fromEntries(
  lines.filter((line) => /^[A-Z]/.test(line)).map((line) => line.split('=', 2)),
)
