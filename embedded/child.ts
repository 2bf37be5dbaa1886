import { type ChildProcess, spawn } from 'node:child_process'
import {
  closeSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { endProcess, identify, type ProcessId, processState, signal } from './process-info.ts'

export interface ChildOptions {
  name: string
  command: string
  args: string[]
  env: NodeJS.ProcessEnv
  /** The child itself appends both output streams here, so logging continues if the launcher dies. */
  logFile: string
  /** Holds pid and start time while the child runs, so that a later launcher can end it. */
  pidFile: string
  cwd?: string
  /** Another user to run as; requires root. */
  user?: { uid: number; gid: number } | undefined
}

export interface Exit {
  code: number | null
  signal: NodeJS.Signals | null
  /** Set if the command could not be run at all. */
  error?: Error
}

/** A child process that can be started, stopped, killed, frozen and, once it has ended, started again. */
export class Child {
  readonly options: ChildOptions
  #process: ChildProcess | undefined
  #exited: Promise<Exit> = Promise.resolve({ code: 0, signal: null })
  #logStart = 0

  constructor(options: ChildOptions) {
    this.options = options
  }

  get pid(): number | undefined {
    return this.#process?.pid
  }

  /** Resolves when the current run has ended. */
  get exited(): Promise<Exit> {
    return this.#exited
  }

  start(): void {
    const { name, command, args, env, logFile, pidFile, cwd, user } = this.options
    if (this.#process) throw new Error(`${name} is already running`)
    mkdirSync(dirname(logFile), { recursive: true })
    mkdirSync(dirname(pidFile), { recursive: true })
    const log = openSync(logFile, 'a')
    this.#logStart = statSync(logFile).size
    try {
      // In its own process group, so that Ctrl-C in the terminal reaches only the launcher, which shuts down in order.
      const child = spawn(command, args, {
        env,
        ...(cwd && { cwd }),
        ...user,
        stdio: ['ignore', log, log],
        detached: true,
      })
      this.#process = child
      this.#exited = new Promise((resolve) => {
        const end = (exit: Exit) => {
          this.#process = undefined
          rmSync(pidFile, { force: true })
          resolve(exit)
        }
        child.once('error', (error) => end({ code: null, signal: null, error }))
        child.once('exit', (code, by) => end({ code, signal: by }))
      })
      if (child.pid) writePidFile(pidFile, child.pid)
    } finally {
      closeSync(log)
    }
  }

  /**
   * Sends the signal and waits for the exit; sends SIGKILL after `limitMs`. Does nothing if it is not running.
   *
   * @returns whether SIGKILL was needed
   */
  async stop(by: NodeJS.Signals, limitMs: number): Promise<boolean> {
    const pid = this.pid
    if (!pid) return false
    let killed = false
    const timer = setTimeout(() => {
      killed = signal(pid, 'SIGKILL')
    }, limitMs)
    signal(pid, by)
    signal(pid, 'SIGCONT')
    await this.#exited
    clearTimeout(timer)
    return killed
  }

  /** Sends SIGKILL and waits until the process has been reaped. */
  async kill(): Promise<void> {
    if (this.pid) signal(this.pid, 'SIGKILL')
    await this.#exited
  }

  /** Sends SIGSTOP and waits until it has taken effect. */
  async freeze(): Promise<void> {
    const pid = this.pid
    if (!pid) throw new Error(`${this.options.name} is not running`)
    signal(pid, 'SIGSTOP')
    while (processState(pid) === 'running') await delay(5)
  }

  thaw(): void {
    if (this.pid) signal(this.pid, 'SIGCONT')
  }

  /**
   * Polls until `ready` resolves to true.
   *
   * @throws if the child exits first (with the last lines of its log), or after `limitMs`
   */
  async waitUntil(ready: () => Promise<boolean>, limitMs: number): Promise<void> {
    const deadline = Date.now() + limitMs
    let ended: Exit | undefined
    const watch = this.#exited.then((exit) => (ended = exit))
    while (!(await ready())) {
      await Promise.race([delay(25), watch])
      const { name, logFile } = this.options
      if (ended)
        throw new Error(`${name} ${describeExit(ended)} while starting\n${this.lastLines().join('\n')}`)
      if (Date.now() > deadline)
        throw new Error(`${name} did not answer within ${limitMs / 1000} s, see ${logFile}`)
    }
  }

  /** The last lines that the current run wrote to the log. */
  lastLines(count = 15): string[] {
    return tail(this.options.logFile, this.#logStart).slice(-count)
  }
}

/** For messages: "exited with code 1", "was killed by SIGKILL". */
export function describeExit(exit: Exit): string {
  if (exit.error) return `could not be run (${exit.error.message})`
  return exit.signal ? `was killed by ${exit.signal}` : `exited with code ${exit.code}`
}

/** Ends the process named in a pid file if it is still the same process; true if there was one. */
export async function endLeftover(pidFile: string, by: NodeJS.Signals, limitMs: number): Promise<boolean> {
  const id = readPidFile(pidFile)
  if (!id) return false
  await endProcess(id, by, limitMs)
  rmSync(pidFile, { force: true })
  return true
}

/** The running process named in a pid file; undefined if it has exited or its pid has been reused. */
export function readPidFile(pidFile: string): ProcessId | undefined {
  try {
    const [pid, started] = readFileSync(pidFile, 'utf8').split('\n')
    const now = identify(Number(pid))
    return now?.started === started ? now : undefined
  } catch {
    return undefined
  }
}

/** Writes pid and start time of a process, for `readPidFile`. */
export function writePidFile(pidFile: string, pid: number): void {
  const id = identify(pid)
  if (id) writeFileSync(pidFile, `${id.pid}\n${id.started}\n`)
}

function tail(file: string, from: number): string[] {
  const maxBytes = 16_384
  const size = statSync(file).size
  const start = Math.max(from, size - maxBytes)
  const buffer = Buffer.alloc(Math.max(0, size - start))
  const fd = openSync(file, 'r')
  try {
    readSync(fd, buffer, 0, buffer.length, start)
  } finally {
    closeSync(fd)
  }
  return buffer.toString('utf8').trimEnd().split('\n')
}
