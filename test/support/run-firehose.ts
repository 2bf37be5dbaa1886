import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'

export interface Ended {
  code: number | null
  out: string
  err: string
}

export const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** Runs `npx firehose ...` to its end, with this environment and nothing else of it. */
export async function runFirehose(env: NodeJS.ProcessEnv, ...args: string[]): Promise<Ended> {
  return await runFirehoseIn(ROOT, env, ...args)
}

/** Runs the command `firehose` of another checkout. */
export async function runFirehoseIn(root: string, env: NodeJS.ProcessEnv, ...args: string[]): Promise<Ended> {
  const argv = ['--disable-warning=TimeoutNegativeWarning', join(root, 'cli/firehose.ts'), ...args]
  return await ended(spawn(process.execPath, argv, { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] }))
}

/** Runs a line of the shell as a person types it in the checkout, with these variables exported. */
export async function runLine(line: string, env: NodeJS.ProcessEnv): Promise<Ended> {
  const { PATH, HOME } = process.env
  const options = { cwd: ROOT, env: { PATH, HOME, ...env } }
  return await ended(spawn('sh', ['-c', line], { ...options, stdio: ['ignore', 'pipe', 'pipe'] }))
}

/** What a child process wrote, and its exit code. */
export async function ended(child: ChildProcess): Promise<Ended> {
  const closed = once(child, 'close')
  const [out, err] = await Promise.all(
    [child.stdout, child.stderr].map(async (stream) => (stream === null ? '' : await text(stream))),
  )
  const [code] = (await closed) as [number | null]
  return { code, out: out ?? '', err: err ?? '' }
}
