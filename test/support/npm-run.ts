import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import {
  childrenOf,
  commandOf,
  identify,
  isAlive,
  type ProcessId,
  signal,
} from '../../embedded/process-info.ts'
import { until } from './until.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** A script of package.json that runs, as people and supervisors start it. */
export interface NpmRun {
  /** What was started: npm, or what runs it. Leads a process group of its own. */
  top: ChildProcess
  /** Its exit code, or the signal that ended it, when nothing has its output open any more. */
  ended: Promise<number | NodeJS.Signals | null>
  /** All that it wrote. */
  output: () => string
}

/** A way to start a script, and to have it end. */
export interface Way {
  /** What is needed for it; without, a test is skipped with these words. */
  needs?: string | undefined
  start: (script: string[], env: NodeJS.ProcessEnv) => NpmRun
  end: (run: NpmRun) => void
  /** How what was started ends; undefined where it is ended itself. */
  code?: number
  /** The output is cut off with the terminal. */
  losesOutput?: boolean
}

const npm = (script: string[]): string[] => ['npm', 'run', '--silent', ...script]

/** The ways in which people and supervisors end a script of npm, each one request. */
export const WAYS: Record<string, Way> = {
  'Ctrl-C in a terminal': {
    needs: missing('script'),
    start: inTerminal,
    end: ({ top }) => top.stdin?.write('\x03'),
    code: 0,
  },
  'a terminal that is closed': {
    needs: missing('script'),
    start: inTerminal,
    end: ({ top }) => top.kill('SIGKILL'),
    losesOutput: true,
  },
  // Its own alarm, so that it comes when the test wants it: it does the same when the time is up.
  'timeout -s INT': {
    needs: missing('timeout'),
    start: (script, env) => start(['timeout', '-s', 'INT', '600', ...npm(script)], env),
    end: ({ top }) => top.kill('SIGALRM'),
    code: 124,
  },
  'SIGTERM to the process group': {
    start: (script, env) => start(npm(script), env),
    end: ({ top }) => signal(-(top.pid ?? 0), 'SIGTERM'),
    code: 0,
  },
  'SIGTERM to npm': {
    start: (script, env) => start(npm(script), env),
    end: ({ top }) => top.kill('SIGTERM'),
    code: 0,
  },
  'kill -9 of npm': {
    start: (script, env) => start(npm(script), env),
    end: ({ top }) => top.kill('SIGKILL'),
  },
}

/**
 * On a terminal of its own, whose keyboard is `top.stdin`. `script` has one on every Debian, Fedora and macOS without
 * anything to install; Node itself has none.
 */
function inTerminal(script: string[], env: NodeJS.ProcessEnv): NpmRun {
  const command = npm(script)
  const isBsd = process.platform === 'darwin'
  const args = isBsd
    ? ['/dev/null', ...command]
    : ['-efc', `exec ${command.map(quoted).join(' ')}`, '/dev/null']
  return start(['script', '-q', ...args], env)
}

/** As a word of the shell. */
function quoted(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`
}

function start([command = '', ...args]: string[], env: NodeJS.ProcessEnv): NpmRun {
  const top = spawn(command, args, { cwd: root, env, detached: true, stdio: 'pipe' })
  let output = ''
  for (const stream of [top.stdout, top.stderr]) stream.on('data', (chunk) => (output += String(chunk)))
  const ended = new Promise<number | NodeJS.Signals | null>((resolve) => {
    top.once('close', (code, by) => resolve(code ?? by))
  })
  return { top, ended, output: () => output }
}

function missing(command: string): string | undefined {
  const { error } = spawnSync(command, ['--version'], { stdio: 'ignore' })
  return error === undefined ? undefined : `${command} is not installed here`
}

/** All processes that came of it, parents before their children. */
export function familyOf({ top }: NpmRun): ProcessId[] {
  const pids = [top.pid ?? 0]
  for (const pid of pids) pids.push(...childrenOf(pid))
  return pids.map(identify).filter((id) => id !== undefined)
}

/** The process of it that runs the program. */
export async function serviceOf(run: NpmRun, program: string): Promise<ProcessId> {
  return await until(program, () => familyOf(run).findLast(({ pid }) => commandOf(pid).includes(program)))
}

/** Waits until exactly this process is gone. */
export async function untilGone(id: ProcessId): Promise<void> {
  await until(`process ${id.pid} is gone`, () => !isAlive(id))
}
