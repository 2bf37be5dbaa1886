import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { installKafka } from '../../embedded/kafka-install.ts'
import { NO_COMPILER, runsSource } from './other-clients.ts'
import { pythonWith } from './python.ts'
import { type Ended, ended, ROOT } from './run-firehose.ts'

/* The programs of examples/ that send an event, as their users run them. */

/** The command without the URL. @returns why it cannot be run here, as `missing` */
type Command = string[] | { missing: string }

/** Java compiles the file each time that it runs it. */
const QUICK_START = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC']

/** By their file in examples/. `dir` takes what a compiler makes. */
export const COMMANDS: Record<string, (file: string, dir: string) => Command | Promise<Command>> = {
  'send_event.py': async (file) => {
    try {
      return [join(await pythonWith('requests==2.32.5'), 'python'), file]
    } catch (error) {
      return { missing: `requests cannot be installed: ${String(error).split('\n', 1)[0]}` }
    }
  },
  'send-event.go': (file, dir) => {
    if (!runs('go', 'version')) return { missing: 'there is no Go' }
    const program = join(dir, 'send-event')
    execFileSync('go', ['build', '-o', program, file])
    return [program]
  },
  'SendEvent.java': async (file) => {
    const { java } = await installKafka(() => {})
    return runsSource(java) ? [java, ...QUICK_START, file] : { missing: NO_COMPILER }
  },
  'send-event.php': (file) =>
    runs('php', '-r', 'exit(defined("CURLINFO_RETRY_AFTER") ? 0 : 1);')
      ? ['php', file]
      : { missing: 'there is no PHP 8.2 with the extension curl' },
  'send-event.sh': (file) => (runs('curl', '--version') ? [file] : { missing: 'there is no curl' }),
}

function runs(command: string, ...args: string[]): boolean {
  return spawnSync(command, args).status === 0
}

const RUN_LIMIT_MS = 45_000

/**
 * Runs a sender to its end, in a locale that knows only ASCII. One that does not end is killed, together with the programs
 * that it has started; its code is null.
 *
 * @param more variables
 */
export async function runSender(
  [command = '', ...args]: string[],
  input: string,
  more: NodeJS.ProcessEnv = {},
): Promise<Ended> {
  const env = { ...process.env, ...more, LC_ALL: 'C', no_proxy: '127.0.0.1', NO_PROXY: '127.0.0.1' }
  const child = spawn(command, args, { cwd: ROOT, env, detached: true })
  const { pid } = child
  const limit = setTimeout(() => pid !== undefined && process.kill(-pid, 'SIGKILL'), RUN_LIMIT_MS)
  child.stdin.on('error', () => {}) // one that reports wrong usage reads nothing
  child.stdin.end(input)
  try {
    return await ended(child)
  } finally {
    clearTimeout(limit)
  }
}
