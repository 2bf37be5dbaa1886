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

/** A running script of package.json, started as people and supervisors start it. */
export interface NpmRun {
  /** The process that was started: npm, or the command that runs it. Leads its own process group. */
  top: ChildProcess
  /** Resolves with its exit code, or the signal that killed it, when all processes have closed its output. */
  ended: Promise<number | NodeJS.Signals | null>
  /** Its output so far. */
  output: () => string
}

/** A way to start a script and to stop it. */
export interface Way {
  /** Why the test is skipped: a missing command; undefined if it can run. */
  needs?: string | undefined
  start: (script: string[], env: NodeJS.ProcessEnv) => NpmRun
  end: (run: NpmRun) => void
  /** The exit code of `top`; undefined if `top` itself is killed. */
  code?: number
  /** Whether output is lost because the terminal is closed. */
  losesOutput?: boolean
}

const npm = (script: string[]): string[] => ['npm', 'run', '--silent', ...script]

/** The ways in which people and supervisors stop an npm script; each counts as one request. */
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
  // The test sends the alarm signal itself, which has the same effect as the end of the time limit.
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

const npx = (script: string[]): string[] => ['npx', 'firehose', ...script]

/** Ways to stop `npx firehose ...`, which differ: npx starts it through a shell. */
export const NPX_WAYS: Record<string, Way> = {
  'SIGTERM to the process group of npx': {
    start: (script, env) => start(npx(script), env),
    end: ({ top }) => signal(-(top.pid ?? 0), 'SIGTERM'),
  },
  'SIGTERM to npx': {
    start: (script, env) => start(npx(script), env),
    end: ({ top }) => top.kill('SIGTERM'),
  },
  'kill -9 of npx': {
    start: (script, env) => start(npx(script), env),
    end: ({ top }) => top.kill('SIGKILL'),
  },
}

/**
 * Starts a script in its own terminal, whose keyboard is `top.stdin`. script(1) provides one, and is installed by default
 * on Debian, Fedora and macOS; Node cannot create one.
 */
function inTerminal(script: string[], env: NodeJS.ProcessEnv): NpmRun {
  const command = npm(script)
  const isBsd = process.platform === 'darwin'
  const args = isBsd
    ? ['/dev/null', ...command]
    : ['-efc', `exec ${command.map(quoted).join(' ')}`, '/dev/null']
  return start(['script', '-q', ...args], env)
}

/** Quotes a word for the shell. */
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

/** All its processes, parents before children. */
export function familyOf({ top }: NpmRun): ProcessId[] {
  const pids = [top.pid ?? 0]
  for (const pid of pids) pids.push(...childrenOf(pid))
  return pids.map(identify).filter((id) => id !== undefined)
}

/** Its process that runs the program. */
export async function serviceOf(run: NpmRun, program: string): Promise<ProcessId> {
  return await until(program, () => familyOf(run).findLast(({ pid }) => commandOf(pid).includes(program)))
}

/** Waits until exactly this process has exited. */
export async function untilGone(id: ProcessId): Promise<void> {
  await until(`process ${id.pid} is gone`, () => !isAlive(id))
}
