import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { rssMiB } from '../../embedded/process-info.ts'
import { UserError } from '../../embedded/user-error.ts'
import { load } from '../load/load.ts'
import type { Bench } from './bench.ts'
import { cpuMs, MEASURED_CORE, OTHER_CORE, pin, pinService } from './machine.ts'
import { eventsInTopic, type Stack, startStack } from './stack.ts'

const IDLE = [0, 1_000, 5_000]
const RATE = 1_000
const CONNECTIONS = 256
/** Files that the API has open besides the idle connections: the load's, Kafka's, its own. */
const OTHER_FILES = CONNECTIONS + 128
/** The API closes a connection that is idle for 75 s; opening and checking all takes part of that time. */
const LONGEST_S = 60
const SETTLE_MS = 1_000

/** The result of the load beside a number of idle connections. */
export interface IdleLoad {
  idle: number
  /** How many of them still answered after the load: all, or the run fails. */
  stillOpen: number
  rate: number
  seconds: number
  /** CPU time of the API per event, in microseconds. */
  cpuUs: number
  /** Latency from the intended send time to the 202. */
  answerP50Ms: number
  answerP99Ms: number
  /** Resident memory of the API when the load ended. */
  rssMiB: number
}

/**
 * An open loop of 1,000 requests/s, with a new API for each number of idle connections.
 *
 * @throws {UserError} if the limit on open files is too low, or the interval is too long
 * @throws if an event failed, an idle connection was closed, or the topic does not hold all accepted events
 */
export async function benchIdle({ seconds, say }: Bench): Promise<IdleLoad[]> {
  const [files, needed] = [openFilesLimit(), Math.max(...IDLE) + OTHER_FILES]
  if (files < needed)
    throw new UserError(
      `5,000 connections need ${needed} open files, but the limit is ${files}: raise it with \`ulimit -n ${needed}\`.`,
    )
  if (seconds > LONGEST_S)
    throw new UserError(
      `The API closes connections that are idle for 75 s: set \`--seconds\` to ${LONGEST_S} or less.`,
    )
  const stack = await startStack()
  try {
    const results: IdleLoad[] = []
    let accepted = 0
    for (const idle of IDLE) {
      const measured = await measure(stack, idle, seconds)
      accepted += measured.accepted
      results.push(measured.result)
      const { cpuUs, answerP50Ms, answerP99Ms, rssMiB: rss, stillOpen } = measured.result
      const answer = `202 p50 ${answerP50Ms.toFixed(1)} ms, p99 ${answerP99Ms.toFixed(1)} ms`
      say(`idle ${stillOpen}: ${cpuUs.toFixed(1)} us of CPU per event, ${answer}, ${Math.round(rss)} MiB`)
    }
    const stored = await eventsInTopic(stack.pipeline)
    if (stored !== accepted) throw new Error(`the topic holds ${stored} events, ${accepted} were accepted`)
    return results
  } finally {
    await stack.pipeline.close()
  }
}

async function measure(
  { pipeline }: Stack,
  idle: number,
  seconds: number,
): Promise<{ result: IdleLoad; accepted: number }> {
  const api = await pinService(pipeline.startApi(), MEASURED_CORE)
  const pid = api.pid ?? 0
  const send = { url: api.url, connections: CONNECTIONS }
  const warmUp = await load({ ...send, rate: 3 * RATE, seconds: 5 })
  const connections = await IdleConnections.open(api.url, idle)
  try {
    await delay(SETTLE_MS)
    const before = cpuMs(pid)
    const run = await load({ ...send, rate: RATE, seconds })
    const [after, rss] = [cpuMs(pid), rssMiB(pid)]
    if (run.acked !== run.sent) throw new Error(`${run.sent - run.acked} of ${run.sent} events failed`)
    const stillOpen = await connections.countOpen()
    if (stillOpen !== idle) throw new Error(`${stillOpen} of ${idle} idle connections were still open`)
    const result = {
      idle,
      stillOpen,
      rate: RATE,
      seconds,
      cpuUs: ((after - before) * 1_000) / run.acked,
      answerP50Ms: run.p50_ms,
      answerP99Ms: run.p99_ms,
      rssMiB: rss,
    }
    return { result, accepted: warmUp.acked + run.acked }
  } finally {
    connections.close()
    await api.stop(10_000)
  }
}

/** The process of idle-connections.ts. */
class IdleConnections {
  readonly #child
  readonly #lines

  private constructor(url: string, count: number) {
    const program = fileURLToPath(new URL('./idle-connections.ts', import.meta.url))
    this.#child = spawn(process.execPath, [program, url, String(count)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    if (this.#child.pid !== undefined) pin(this.#child.pid, OTHER_CORE)
    this.#lines = createInterface({ input: this.#child.stdout })
  }

  /** @throws if not all could be opened */
  static async open(url: string, count: number): Promise<IdleConnections> {
    const connections = new IdleConnections(url, count)
    const open = await connections.#answered()
    if (open !== count) throw new Error(`${open} of ${count} idle connections could be opened`)
    return connections
  }

  /** Sends one more request on each connection, then closes all. */
  async countOpen(): Promise<number> {
    const answered = this.#answered()
    this.#child.stdin.end()
    return await answered
  }

  close(): void {
    this.#child.kill('SIGKILL')
  }

  async #answered(): Promise<number> {
    const [line] = await Promise.race([once(this.#lines, 'line'), once(this.#lines, 'close')])
    return Number(line ?? 0)
  }
}

/** The limit on open files of our processes. Node raises the soft limit to the hard limit. */
function openFilesLimit(): number {
  const [, soft = '0'] = /^Max open files +(\S+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
  return soft === 'unlimited' ? Infinity : Number(soft)
}
