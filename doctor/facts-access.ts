import { realpath, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Key } from '../access/key-file.ts'
import { parseKeysAt, readKeyTextAsync } from '../access/read-key-file.ts'
import { ConfigError } from '../platform/env.ts'

/** What the file that API_KEYS_FILE names is like, as seen from here. */
export type KeyFileFacts = KeyFile | UnusableKeyFile

export interface KeyFile {
  kind: 'read'
  path: string
  keys: readonly Key[]
  /** Permissions, as in st_mode. */
  mode: number
  /** Where somebody could replace it: its folder and, if `path` is a link, the folder of the link. */
  folders: readonly { path: string; mode: number }[]
  /** When it was read, milliseconds since 1970. */
  atMs: number
}

export interface UnusableKeyFile {
  kind: 'unreadable' | 'wrong'
  path: string
  /** Each completes a sentence that starts with the name of the setting. */
  problems: readonly string[]
}

/** Reads the key file once. Never rejects. */
export async function readKeyFacts(path: string): Promise<KeyFileFacts> {
  let kind: UnusableKeyFile['kind'] = 'unreadable'
  try {
    const text = await readKeyTextAsync(path)
    const { mode } = await stat(path)
    const folders = await foldersOf(path)
    kind = 'wrong'
    const { keys } = parseKeysAt(path, text)
    return { kind: 'read', path, keys, mode, folders, atMs: Date.now() }
  } catch (error) {
    const problems = error instanceof ConfigError ? error.problems : [`cannot be read: ${path}`]
    return { kind, path, problems }
  }
}

async function foldersOf(path: string): Promise<KeyFile['folders']> {
  const paths = new Set([dirname(await realpath(path)), await realpath(dirname(path))])
  return await Promise.all([...paths].map(async (each) => ({ path: each, mode: (await stat(each)).mode })))
}
