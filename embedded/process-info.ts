import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

/** Identifies a process uniquely: a pid may be reused, but not together with the same start time. */
export interface ProcessId {
  pid: number
  started: string
}

type State = 'running' | 'stopped'

const linux = process.platform === 'linux'
let bootId: string | undefined

/** Identity of a running process; undefined if it has exited, even if it has not been reaped. */
export function identify(pid: number): ProcessId | undefined {
  const seen = inspect(pid)
  return seen && { pid, started: seen.started }
}

/** Whether exactly this process, and not a later one with the same pid, is still running. */
export function isAlive(id: ProcessId): boolean {
  return inspect(id.pid)?.started === id.started
}

/** 'stopped' once SIGSTOP has taken effect, otherwise 'running'; undefined if there is no such process. */
export function processState(pid: number): State | undefined {
  return inspect(pid)?.state
}

/** Direct children of a process. */
export function childrenOf(pid: number): number[] {
  if (linux) {
    try {
      const list = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
      return list.split(' ').filter(Boolean).map(Number)
    } catch {
      // Some kernels are built without this file: use ps.
    }
  }
  const rows = ps(['-A', '-o', 'pid=,ppid=']).split('\n')
  return rows
    .map((row) => row.trim().split(/\s+/).map(Number))
    .filter(([, parent]) => parent === pid)
    .map(([child]) => child as number)
}

/** Resident memory of a process in MiB: the second field of proc_pid_statm(5), in pages of 4 KiB. Linux only. */
export function rssMiB(pid: number): number {
  const pages = Number(readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ')[1])
  return (pages * 4_096) / 1024 / 1024
}

/** The command line of a process as one string; empty if there is no such process. */
export function commandOf(pid: number): string {
  return ps(['-ww', '-o', 'command=', '-p', String(pid)]).trim()
}

/** Sends a signal. @returns false if the process no longer exists */
export function signal(pid: number, name: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, name)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
    throw error
  }
}

/** Ends a process that is not our child: sends the signal, then SIGKILL after `limitMs`. */
export async function endProcess(id: ProcessId, name: NodeJS.Signals, limitMs: number): Promise<void> {
  const deadline = Date.now() + limitMs
  if (!isAlive(id)) return
  signal(id.pid, name)
  // A stopped process handles the signal only when it continues.
  signal(id.pid, 'SIGCONT')
  while (isAlive(id)) {
    if (Date.now() > deadline) signal(id.pid, 'SIGKILL')
    await delay(20)
  }
}

function inspect(pid: number): { started: string; state: State } | undefined {
  return linux ? inspectProc(pid) : inspectPs(pid)
}

function inspectProc(pid: number): { started: string; state: State } | undefined {
  let stat: string
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  } catch {
    return undefined
  }
  // The second field, the program's name in parentheses, may contain spaces: split after it.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  const state = fields[0] ?? ''
  if ('ZX'.includes(state)) return undefined
  // Start times are ticks since boot, so they are comparable only within one boot.
  bootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  return { started: `${bootId}:${fields[19]}`, state: state === 'T' ? 'stopped' : 'running' }
}

function inspectPs(pid: number): { started: string; state: State } | undefined {
  const match = /^(\S+)\s+(.+)$/.exec(ps(['-o', 'stat=,lstart=', '-p', String(pid)]).trim())
  const [, state = '', started = ''] = match ?? []
  if (!match || state.startsWith('Z')) return undefined
  return { started, state: state.startsWith('T') ? 'stopped' : 'running' }
}

function ps(args: string[]): string {
  return spawnSync('ps', args, { encoding: 'utf8', env: { ...process.env, LC_ALL: 'C' } }).stdout ?? ''
}
