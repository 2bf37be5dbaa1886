import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/**
 * Runs `npx firehose sink ...`. @returns its output
 *
 * @throws if it fails, with its output in the message
 */
export async function sinkCommand(env: NodeJS.ProcessEnv, ...args: string[]): Promise<string> {
  const flags = ['--disable-warning=TimeoutNegativeWarning', 'cli/firehose.ts', 'sink', ...args]
  const { stdout } = await promisify(execFile)(process.execPath, flags, { env })
  return stdout
}
