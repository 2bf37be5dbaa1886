import { Command, type Option } from 'commander'
import { UsageError } from '../platform/usage-error.ts'

const MAX_WIDTH = 120

/**
 * A command of commander with the rules of all our commands. Wrong usage is one sentence on standard error and an error,
 * from which firehose.ts makes the exit code; so is --help, with exit code 0.
 */
export function newCommand(name: string, description: string): Command {
  return new StrictCommand(name)
    .description(flowing(description))
    .helpOption('-h, --help', 'show this help')
    .exitOverride()
    .configureOutput({
      outputError: (text, write) => write(tryHelp(sentence(text))),
      getOutHelpWidth: () => Math.min(process.stdout.columns ?? MAX_WIDTH, MAX_WIDTH),
      getErrHelpWidth: () => Math.min(process.stderr.columns ?? MAX_WIDTH, MAX_WIDTH),
    })
    .configureHelp({
      optionDescription: ({ description: text, defaultValue }) =>
        typeof defaultValue === 'string' ? `${text} (${defaultValue})` : text,
    })
}

/** For options that may be repeated. */
export function collect(value: string, previous: readonly string[]): string[] {
  return [...previous, value]
}

/** The part that a command was asked for. @throws {UsageError} if it is missing or unknown */
export function partOf(given: string | undefined, parts: readonly string[]): string {
  if (given !== undefined && parts.includes(given)) return given
  const problem = given === undefined ? 'A part is missing' : `There is no part "${given}"`
  throw new UsageError(`${problem}; the parts are ${parts.join(', ')}.`)
}

/** The value of an option as a number. @throws {UsageError} if it is not above 0 */
export function positive(option: string, given: string): number {
  const value = Number(given)
  if (value > 0) return value
  throw new UsageError(`${option} must be a number above 0, not "${given}".`)
}

/** What a user reads about wrong usage. */
export function tryHelp(text: string): string {
  return `${text} Try --help.\n`
}

/** Says on standard error which variables are ignored. */
export function warn(warnings: readonly string[]): void {
  for (const warning of warnings) process.stderr.write(`${warning}.\n`)
}

/** Refuses an option as the value of the option before it: its value was forgotten. */
class StrictCommand extends Command {
  override addOption(option: Option): this {
    const { parseArg } = option
    if (option.required) {
      option.argParser((value: string, previous: unknown) => {
        if (value === '--help' || this.options.some(({ short, long }) => short === value || long === value))
          throw new UsageError(`${option.long} needs a value, not ${value}.`)
        return parseArg === undefined ? value : parseArg(value, previous)
      })
    }
    return super.addOption(option)
  }
}

/** A message of commander as one sentence. */
function sentence(text: string): string {
  const said = text
    .trim()
    .replace(/^error: /, '')
    .replace(/\n\(Did you mean (.*)\?\)$/, ' (did you mean $1?)')
    .replace(/^too many arguments.* Expected (\d+) .*?: (.*)\.$/, unexpected)
    .replace(/^option '(.*)' argument missing$/, "the value of '$1' is missing")
  return `${said.charAt(0).toUpperCase()}${said.slice(1)}.`
}

/** What exceeds the number of arguments that a command takes; commander names them all. */
function unexpected(_: string, expected: string, given: string): string {
  return `unexpected argument '${given.split(', ').slice(Number(expected)).join(', ')}'`
}

/** One line for each paragraph: commander breaks lines by the width of the terminal. */
function flowing(text: string): string {
  return text.replaceAll(/(?<!\n)\n(?!\n)/g, ' ')
}
