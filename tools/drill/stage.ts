import { setTimeout as delay } from 'node:timers/promises'
import { ask } from '../stack/ask.ts'
import type { CloseOptions } from '../stack/backends.ts'
import type { Verdict } from '../verify/verify.ts'
import type { DrillKey } from './drill-key.ts'
import type { StartMaintenance } from './maintenance-fault.ts'
import { type Part, PROBE_MS, type SinkPart } from './part.ts'
import type { Kind, Kinds } from './plan.ts'
import type { SmallDisk } from './small-disk.ts'
import type { TcpProxy } from './tcp-proxy.ts'

/** The stack of a drill: an API, two sinks, Kafka and PostgreSQL, with controls for faults. */
export interface Stage {
  /** The faults from which plans are made; the same on every machine. */
  readonly kinds: Kinds
  /** Kinds that are not possible on this machine, and why. */
  readonly unplayable: Partial<Record<Kind, string>>
  readonly api: Part
  readonly sinks: readonly [SinkPart, SinkPart]
  readonly kafka: Part
  readonly postgres: Part
  /** Connection string of a superuser, bypassing all proxies. */
  readonly databaseUrl: string
  /** The proxy between the clients and the API. */
  readonly httpProxy: TcpProxy
  /** The key of the clients; undefined if the API needs none. */
  readonly key: DrillKey | undefined
  /** The proxy between Kafka and all its clients; a link's `client` is the client id. */
  readonly kafkaProxy: TcpProxy | undefined
  /** The small file system with PostgreSQL's data, if there is one. */
  readonly disk: SmallDisk | undefined
  readonly times: Times
  /** Limit for recovering, and for catching up, in ms. */
  readonly recoveryLimitMs: number
  /** A description of where its data are. */
  readonly data: string
  /** Before the first event, in milliseconds since 1970. */
  readonly sinceMs: number
  readonly startMaintenance: StartMaintenance
  /** Starts a sink in another consumer group, which also reads all partitions and writes the same offsets. */
  startRival?(): Promise<SinkPart>
  stopRival?(): Promise<void>
  /** Path of a file in its own directory. */
  path(name: string): string
  /** Compares Kafka and the acknowledged events with the tables. */
  verify(ackedFile: string): Promise<Verdict>
  /** The end offset of each partition in Kafka. */
  ends(): Promise<bigint[]>
  isCaughtUp(): Promise<boolean>
  /** Stops everything and removes the data, unless `keep` is set. */
  close(options: CloseOptions): Promise<void>
}

/** How long a part is frozen, in ms. */
export interface Times {
  /** Shorter than any timeout of the stage. */
  brief: number
  /** Longer than the session timeout, the limit for PostgreSQL's silence, and the delivery timeout. */
  long: number
  /** Also longer than the age at which a sink terminates a frozen rival's session. */
  sinkLong: number
}

/** Longer than any timeout of the stages. */
export const RECOVERY_LIMIT_MS = 120_000

/** By how much the clock of an API may differ from ours. */
export const CLOCKS_MS = 60_000

/**
 * Waits until both sinks are reading, and events of every partition that were sent after that have been stored.
 *
 * @returns how long it took, in ms
 * @throws after the stage's limit, with the state of each part
 */
export async function recovered(stage: Stage, signal: AbortSignal): Promise<number> {
  const startMs = performance.now()
  let ends: bigint[] | undefined
  for (;;) {
    signal.throwIfAborted()
    const areReading = (await Promise.all(stage.sinks.map(isReading))).every(Boolean)
    if (areReading) {
      ends ??= await stage.ends().catch(() => undefined)
      const stored = await nextOffsets(stage.databaseUrl)
      if (stored !== undefined && ends?.every((end, partition) => (stored[partition] ?? 0n) > end))
        return performance.now() - startMs
    }
    if (performance.now() - startMs > stage.recoveryLimitMs) throw new Error(await describe(stage))
    await delay(50, undefined, { signal })
  }
}

export async function databaseAnswers(url: string): Promise<boolean> {
  return await ask(url, 'SELECT 1', { limitMs: PROBE_MS }).then(
    () => true,
    () => false,
  )
}

/** Number of rows in `events`. */
export async function countEvents(url: string): Promise<number> {
  const [row] = await ask<{ count: string }>(url, 'SELECT count(*) FROM events', {
    limitMs: 60_000,
  })
  return Number(row?.count)
}

export function addressOf(url: string): { host: string; port: number } {
  const { hostname, port } = new URL(url)
  return { host: hostname, port: Number(port) }
}

/** The sink's offset of each partition; undefined if PostgreSQL does not answer. */
async function nextOffsets(url: string): Promise<bigint[] | undefined> {
  const sql = 'SELECT next_offset FROM sink_offsets ORDER BY partition'
  const rows = await ask<{ next_offset: string }>(url, sql).catch(() => undefined)
  return rows?.map(({ next_offset }) => BigInt(next_offset))
}

async function isReading(sink: SinkPart): Promise<boolean> {
  const health = await sink.health()
  return health?.state === 'running' && (health.partitions as unknown[]).length > 0
}

async function describe({ api, kafka, postgres, sinks, recoveryLimitMs }: Stage): Promise<string> {
  const states = sinks.map(async (sink) => {
    const lines = (await sink.lastLines()).slice(-5).join('\n  ')
    return `${sink.name}: ${JSON.stringify(await sink.health())}\n  ${lines}`
  })
  const answers = [api, kafka, postgres].map(
    async (part) => `${part.name} ${(await part.answers()) ? 'answers' : 'does not answer'}`,
  )
  const facts = await Promise.all([...answers, ...states])
  return `not recovered after ${recoveryLimitMs / 1000} s\n${facts.join('\n')}`
}
