// What the commands of `firehose keys` have in common.
import type { Command } from 'commander'
import { KeyChangeError } from '../access/errors.ts'
import { keysFileSetting } from '../access/read-key-file.ts'
import type { KeyKind } from '../access/secret.ts'
import { ConfigError, readSettings } from '../platform/env.ts'
import { escapeControls } from '../platform/escape-controls.ts'
import { shellWord } from '../platform/shell-word.ts'
import { systemReason } from '../platform/system-reason.ts'
import { UsageError } from '../platform/usage-error.ts'
import { capital } from '../platform/units.ts'
import { newCommand } from './command.ts'
import { endOnSignal } from './stop-on-signal.ts'

export interface FileOption {
  file?: string
}

/** A command that works on a key file. */
export function keysCommand(name: string, summary: string, description: string): Command {
  return newCommand(name, description)
    .summary(summary)
    .option('--file <PATH>', 'the key file (API_KEYS_FILE)')
}

/**
 * Works on the key file that --file or else API_KEYS_FILE names.
 *
 * @param work gets its path, and returns what is to be said on standard error
 * @returns the exit code
 * @throws {UsageError} if neither names a file
 * @throws {ConfigError} if the file is wrong
 */
export async function onKeyFile(
  { file }: FileOption,
  work: (path: string) => Promise<string> | string,
): Promise<number> {
  const { name, path } = placeOf(file)
  endOnSignal()
  try {
    say(await work(path))
    return 0
  } catch (error) {
    const whole = (text: string): string => (file === undefined ? text : withFile(text, file))
    if (error instanceof ConfigError)
      throw new ConfigError(error.problems.map((each) => whole(`${name} ${each}`)))
    if (!(error instanceof KeyChangeError)) throw error
    say(`${capital(whole(error.message))}.`)
    return 1
  }
}

/** A text whose commands work on the same file. */
function withFile(text: string, file: string): string {
  return text.replaceAll(/"npx firehose keys [^"]+/g, (command) => `${command} --file ${shellWord(file)}`)
}

function placeOf(file: string | undefined): { name: string; path: string } {
  if (file !== undefined) return { name: '--file', path: file }
  const { API_KEYS_FILE: path } = readSettings({ API_KEYS_FILE: keysFileSetting }, process.env)
  if (path === undefined)
    throw new UsageError('There is no key file: give --file PATH, or set API_KEYS_FILE.')
  return { name: 'API_KEYS_FILE', path }
}

/**
 * Prints a new secret, alone on standard output, so that it can be piped into whatever keeps secrets.
 *
 * @throws {KeyChangeError} if that fails; the key is in the file then, but nobody knows its secret
 */
export async function printSecret(text: string, remedy: string): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      process.stdout.once('error', reject)
      process.stdout.write(`${text}\n`, (error) => (error ? reject(error) : resolve()))
    })
  } catch (error) {
    throw new KeyChangeError(
      `the secret could not be printed (${systemReason(error)}), so nobody knows it: get another with "${remedy}"`,
      error,
    )
  }
}

/** What to do with a secret of this kind. @param which begins the sentence: `The secret` */
export function howToUse(which: string, kind: KeyKind): string {
  const query = kind === 'browser' ? '; where a page cannot set headers, as "?key=SECRET"' : ''
  return `${which} is shown only now: clients send it as "Authorization: Bearer SECRET" or "X-API-Key: SECRET"${query}. APIs that read the file take it within 5 s.`
}

function say(text: string): void {
  if (text !== '') process.stderr.write(`${escapeControls(text)}\n`)
}
