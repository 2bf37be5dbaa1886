import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'

/** Of a process that has ended. */
export interface Ended {
  code: number | null
  /** Standard output. */
  out: string
  /** Standard error. */
  said: string
}

/** Runs `npx firehose ...` to its end, with this environment and nothing else of it. */
export async function runCommand(args: string[], env: NodeJS.ProcessEnv, input = ''): Promise<Ended> {
  const flags = ['--disable-warning=TimeoutNegativeWarning', 'cli/firehose.ts', ...args]
  const child = spawn(process.execPath, flags, { env, timeout: 60_000, killSignal: 'SIGKILL' })
  child.stdin.on('error', () => {}) // it need not read
  child.stdin.end(input)
  const [out, said, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ])
  return { code, out, said }
}
