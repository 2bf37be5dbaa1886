import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { NODE_FLAGS, NODE_VARIABLES } from '../../platform/node-conf.ts'
import type { LoadKey } from '../load/common-headers.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const LABEL = 'drill'
const run = promisify(execFile)

/** The server key of a drill's clients, in a key file that `firehose keys` makes and changes. */
export class DrillKey implements LoadKey {
  readonly file: string
  /** The secret with which the clients send now. */
  text: string

  private constructor(file: string, text: string) {
    this.file = file
    this.text = text
  }

  /** @param file the key file, which does not exist yet */
  static async create(file: string): Promise<DrillKey> {
    return new DrillKey(file, await keys(file, 'create', LABEL, '--kind', 'server'))
  }

  /** Gives the key a new secret, which is returned; the clients go on with the old one, which ends after `overlapS`. */
  async rotate(overlapS: number): Promise<string> {
    return await keys(this.file, 'rotate', LABEL, '--overlap', `${overlapS}s`)
  }
}

/** The header that shows a key, if there is one. */
export function authorization(key: LoadKey | undefined): Record<string, string> {
  return key === undefined ? {} : { authorization: `Bearer ${key.text}` }
}

/** @returns the secret that the command prints */
async function keys(file: string, ...args: string[]): Promise<string> {
  const argv = [...NODE_FLAGS, 'cli/firehose.ts', 'keys', ...args, '--file', file]
  const env = { ...process.env, ...NODE_VARIABLES }
  const { stdout } = await run(process.execPath, argv, { cwd: ROOT, env })
  return stdout.trim()
}
