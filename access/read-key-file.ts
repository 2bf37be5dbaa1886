import { readFileSync, type Stats, statSync } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { ConfigError, optionalText } from '../platform/env.ts'
import { systemReason } from '../platform/system-reason.ts'
import { type KeyFile, MAX_KEY_FILE_BYTES, parseKeyFile } from './key-file.ts'

/* Every problem here completes a sentence that starts with the name of the setting or option. */

/** API_KEYS_FILE, for the services and for `firehose keys`. */
export const keysFileSetting = optionalText(
  'File with the keys of clients, which `firehose keys` makes and changes; read again within 5 s of a change. Mount its folder, not the file itself, because it is replaced as a whole',
)

/** @throws {ConfigError} if it cannot be read, or lists what is wrong with it */
export function readKeyFile(path: string): KeyFile {
  return parseKeysAt(path, readKeyText(path))
}

/** @throws {ConfigError} */
export function readKeyText(path: string): string {
  try {
    checkFile(path, statSync(path))
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw unreadable(path, error)
  }
}

/** As readKeyText(), without holding up anything else if the disk is slow. @throws {ConfigError} */
export async function readKeyTextAsync(path: string): Promise<string> {
  try {
    checkFile(path, await stat(path))
    return await readFile(path, 'utf8')
  } catch (error) {
    throw unreadable(path, error)
  }
}

/** @throws {ConfigError} that lists what is wrong with the text */
export function parseKeysAt(path: string, text: string): KeyFile {
  try {
    return parseKeyFile(text)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    throw new ConfigError(error.problems.map((problem) => `is wrong: ${path}: ${problem}`))
  }
}

/** Reading a pipe would wait for ever, or take the text from others; a large file would fill the memory. */
function checkFile(path: string, stats: Stats): void {
  const isRight = stats.isFile() && stats.size <= MAX_KEY_FILE_BYTES
  if (!isRight) throw new ConfigError([`cannot be read: ${path}: it is not a file of at most 1 MiB`])
}

function unreadable(path: string, error: unknown): ConfigError {
  if (error instanceof ConfigError) return error
  const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT'
  const remedy = isMissing ? ' ("npx firehose keys create" makes it)' : ''
  return new ConfigError([`cannot be read: ${path}: ${systemReason(error)}${remedy}`])
}
