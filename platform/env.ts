import { formatDuration, parseDuration } from './duration.ts'
import { readVariable } from './variable.ts'

/**
 * Settings from environment variables. Each is declared once, with its default and its documentation. All of them are
 * read and checked together, so that a single start reports every mistake. The table in the README is generated from the
 * declarations.
 */

export interface Setting<T> {
  /** One sentence for the README's table. */
  doc: string
  /** The default as shown in the README's table; '' if there is none. */
  defaultText: string
  secret: boolean
  /** Parses the variable's text. Throws an Error whose message completes a sentence that starts with the name. */
  parse: (text: string | undefined) => T
}

export type Settings = Record<string, Setting<unknown>>
type Values<S extends Settings> = { [K in keyof S]: S[K] extends Setting<infer T> ? T : never }

/** The mistakes in the environment, one sentence each. Never contains the value of a secret. */
export class ConfigError extends Error {
  readonly problems: string[]
  /** @param problems a setting that several parts read may be among them more than once */
  constructor(problems: readonly string[]) {
    const each = [...new Set(problems)]
    super(each.join('\n'))
    this.name = 'ConfigError'
    this.problems = each
  }

  /** What a user reads about it. */
  get report(): string {
    return `The settings are invalid:\n${this.problems.map((problem) => `  ${problem}\n`).join('')}`
  }
}

interface Parsed<S extends Settings> {
  values: Values<S>
  /** Mistakes. */
  problems: string[]
  /** Variables that are ignored, one sentence each. */
  warnings: string[]
}

/**
 * Reads every declared variable (variable.ts). An invalid one is listed in `problems` and gets its default, so that the
 * caller can also check combinations of settings.
 */
export function parseSettings<S extends Settings>(settings: S, env: NodeJS.ProcessEnv): Parsed<S> {
  const problems: string[] = []
  const warnings: string[] = []
  const values: Record<string, unknown> = {}
  for (const [name, setting] of Object.entries(settings)) {
    const given = collectProblems(problems, () => readVariable(name, setting.secret, env))
    if (given?.warning !== undefined) warnings.push(given.warning)
    const value = collectProblems(problems, () => setting.parse(given?.text), `${name} `)
    values[name] = value ?? setting.parse(undefined)
  }
  return { values: values as Values<S>, problems, warnings }
}

/** @throws {ConfigError} that lists all mistakes */
export function readSettings<S extends Settings>(settings: S, env: NodeJS.ProcessEnv): Values<S> {
  const { values, problems } = parseSettings(settings, env)
  if (problems.length > 0) throw new ConfigError(problems)
  return values
}

/** The result of `read`; or undefined, with the mistakes added to `problems`, if it throws. */
export function collectProblems<T>(problems: string[], read: () => T, prefix = ''): T | undefined {
  try {
    return read()
  } catch (error) {
    const mistakes = error instanceof ConfigError ? error.problems : [(error as Error).message]
    problems.push(...mistakes.map((mistake) => prefix + mistake))
    return undefined
  }
}

/** Free text. */
export function text(fallback: string, doc: string): Setting<string> {
  return { doc, defaultText: fallback, secret: false, parse: (value) => value ?? fallback }
}

/** Free text that may be absent. */
export function optionalText(doc: string): Setting<string | undefined> {
  return { doc, defaultText: '', secret: false, parse: (value) => value }
}

/** Like optionalText(), but the value is never shown. */
export function secret(doc: string): Setting<string | undefined> {
  return { ...optionalText(doc), secret: true }
}

/** A whole number within [min, max]. */
export function integer(fallback: number, min: number, max: number, doc: string): Setting<number> {
  const parse = (value: string | undefined): number => {
    if (value === undefined) return fallback
    const number = Number(value)
    if (!/^-?\d+$/.test(value) || number < min || number > max) {
      throw new Error(`must be a whole number from ${min} to ${max}, not "${value}"`)
    }
    return number
  }
  return { doc, defaultText: String(fallback), secret: false, parse }
}

/** A whole number within [min, max] that may be absent. */
export function optionalInteger(min: number, max: number, doc: string): Setting<number | undefined> {
  const { parse } = integer(min, min, max, doc)
  return { ...optionalText(doc), parse: (value) => (value === undefined ? undefined : parse(value)) }
}

/** A duration such as 90s, 10m, 1h or 1d, within [min, max], in milliseconds. It may be absent. */
export function optionalDuration(minMs: number, maxMs: number, doc: string): Setting<number | undefined> {
  const parse = (value: string | undefined): number | undefined => {
    if (value === undefined) return undefined
    const ms = parseDuration(value)
    if (ms !== undefined && ms >= minMs && ms <= maxMs) return ms
    const [least, most] = [formatDuration(minMs), formatDuration(maxMs)]
    throw new Error(`must be a duration from ${least} to ${most}, such as 90s, 10m or 1h, not "${value}"`)
  }
  return { ...optionalText(doc), parse }
}

/** `true` or `false`; `1` and `0` are accepted too. */
export function boolean<T extends boolean | undefined>(fallback: T, doc: string): Setting<boolean | T> {
  const parse = (value: string | undefined): boolean | T => {
    if (value === undefined) return fallback
    if (value === 'true' || value === '1') return true
    if (value === 'false' || value === '0') return false
    throw new Error(`must be true or false, not "${value}"`)
  }
  return { doc, defaultText: String(fallback ?? ''), secret: false, parse }
}

/** One of the given words, in upper or lower case. */
export function oneOf<T extends string>(words: readonly T[], fallback: NoInfer<T>, doc: string): Setting<T> {
  const parse = (value: string | undefined): T => {
    if (value === undefined) return fallback
    const word = words.find((candidate) => candidate === value.toLowerCase())
    if (word === undefined) throw new Error(`must be one of ${words.join(', ')}, not "${value}"`)
    return word
  }
  return { doc, defaultText: fallback, secret: false, parse }
}

/** A comma-separated list; spaces around the commas are ignored. */
export function list(fallback: string, doc: string): Setting<string[]> {
  const parse = (value: string | undefined): string[] =>
    (value ?? fallback)
      .split(',')
      .map((item) => item.trim())
      .filter((item) => item !== '')
  return { doc, defaultText: fallback, secret: false, parse }
}
