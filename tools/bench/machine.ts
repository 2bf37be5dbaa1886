/* CPU affinity and CPU time of processes, and a description of the machine. Linux only. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, release } from 'node:os'
import type { NodeService } from '../../embedded/node-service.ts'
import { UserError } from '../../embedded/user-error.ts'
import { childrenOf } from '../../embedded/process-info.ts'

/** The measured process has one core to itself; everything that feeds it shares the other. */
export const MEASURED_CORE = 0
export const OTHER_CORE = 1

/** For pin(): undoes the binding. */
export const ALL_CORES = `0-${availableParallelism() - 1}`

/** Binds all threads of a process and its future children to one core. */
export function pin(pid: number, core: number | typeof ALL_CORES): void {
  const { status } = spawnSync('taskset', ['-acp', String(core), String(pid)], { stdio: 'ignore' })
  if (status !== 0) throw new UserError('The benchmark needs `taskset` (package util-linux) and two cores.')
}

/** Binds a service as soon as it has a pid. */
export async function pinService(starting: Promise<NodeService>, core: number): Promise<NodeService> {
  const service = await starting
  pin(service.pid ?? 0, core)
  return service
}

/** CPU time of a process, all threads, in milliseconds: utime and stime of proc_pid_stat(5), in ticks of 10 ms. */
export function cpuMs(pid: number): number {
  return ticksOf(pid, [11, 12]) * 10
}

/** As cpuMs(), for a process and its children, including those that have exited. */
export function treeCpuMs(pid: number): number {
  const children = childrenOf(pid).map((child) => {
    try {
      return treeCpuMs(child)
    } catch {
      return 0 // it has exited: its time is included in its parent's
    }
  })
  return ticksOf(pid, [11, 12, 13, 14]) * 10 + sum(children)
}

/** CPU time of all children of this process that have been reaped, in milliseconds. */
export function endedChildrenCpuMs(): number {
  return ticksOf(process.pid, [13, 14]) * 10
}

/** A description of the machine, for interpreting the figures. */
export function describeMachine(): {
  cpu: string
  cores: number
  kernel: string
  node: string
  load: string
} {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    kernel: release(),
    node: process.version,
    load: loadavg()
      .map((value) => value.toFixed(2))
      .join(' '),
  }
}

function ticksOf(pid: number, places: readonly number[]): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return sum(places.map((place) => Number(fields[place])))
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
