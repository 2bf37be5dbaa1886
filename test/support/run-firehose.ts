import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'

export interface Ended {
  code: number | null
  out: string
  err: string
}

/** Runs `npx firehose ...` to its end. */
export async function runFirehose(env: NodeJS.ProcessEnv, ...args: string[]): Promise<Ended> {
  const flags = ['--disable-warning=TimeoutNegativeWarning', 'cli/firehose.ts']
  const child = spawn(process.execPath, [...flags, ...args], { env, stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = once(child, 'close')
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)])
  const [code] = (await ended) as [number | null]
  return { code, out, err }
}
