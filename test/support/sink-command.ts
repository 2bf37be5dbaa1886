import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

/**
 * Runs `npm run sink -- ...` and gives what it says.
 *
 * @throws with what it says, when it ends with an error
 */
export async function sinkCommand(env: NodeJS.ProcessEnv, ...args: string[]): Promise<string> {
  const flags = ['--disable-warning=TimeoutNegativeWarning', 'cli/sink.ts', ...args]
  const { stdout } = await promisify(execFile)(process.execPath, flags, { env })
  return stdout
}
