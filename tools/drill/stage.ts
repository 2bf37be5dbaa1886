import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import type { CloseOptions } from '../stack/backends.ts'
import type { Verdict } from '../verify/verify.ts'
import { type Part, PROBE_MS, type SinkPart } from './part.ts'
import type { Kind, Kinds } from './plan.ts'
import type { SmallDisk } from './small-disk.ts'
import type { TcpProxy } from './tcp-proxy.ts'

/** Where the drill plays: an API, two sinks, Kafka and PostgreSQL, and what can be done to them. */
export interface Stage {
  /** What a seed's plan is drawn from, the same on each machine. */
  readonly kinds: Kinds
  /** Which of these kinds cannot be played on this machine, and why. */
  readonly unplayable: Partial<Record<Kind, string>>
  readonly api: Part
  readonly sinks: readonly [SinkPart, SinkPart]
  readonly kafka: Part
  readonly postgres: Part
  /** Connection string of a superuser, past all proxies. */
  readonly databaseUrl: string
  /** Between the clients and the API. */
  readonly httpProxy: TcpProxy
  /** Between Kafka and all of its clients: a link's `client` tells whose it is. */
  readonly kafkaProxy: TcpProxy | undefined
  /** Where PostgreSQL keeps its data, if on a small file system. */
  readonly disk: SmallDisk | undefined
  readonly times: Times
  /** How long it may take to recover, and to catch up, ms. */
  readonly recoveryLimitMs: number
  /** Where its data lie, in words. */
  readonly data: string
  /** A sink of another consumer group, which reads all partitions, too, and writes to the same offsets. */
  startRival?(): Promise<SinkPart>
  stopRival?(): Promise<void>
  /** A file of its own. */
  path(name: string): string
  /** Compares Kafka, and what was acknowledged, with the tables. */
  verify(ackedFile: string): Promise<Verdict>
  /** Of each partition in Kafka, the offset that its next record will have. */
  ends(): Promise<bigint[]>
  isCaughtUp(): Promise<boolean>
  /** Ends everything and removes its data, unless those are to be kept. */
  close(options: CloseOptions): Promise<void>
}

/** How long a part stands still, ms. */
export interface Times {
  /** Shorter than any timeout of the stage. */
  brief: number
  /** Longer than the session timeout, PostgreSQL's silence and a delivery; */
  long: number
  /** and than the age from which a sink ends a frozen rival's session. */
  sinkLong: number
}

/** Of the stages here: more than any timeout of theirs. */
export const RECOVERY_LIMIT_MS = 120_000

/**
 * Waits until both sinks read, and events of every partition that Kafka did not hold by then have gone all the way.
 *
 * @returns how long it took, ms
 * @throws after the stage's limit, with what each part says
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

/** One question to PostgreSQL on a connection of its own. @throws the driver's error; at the latest after `limitMs` */
async function ask<R extends pg.QueryResultRow>(url: string, sql: string, limitMs = 5_000): Promise<R[]> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: limitMs,
    query_timeout: limitMs,
  })
  client.on('error', () => {})
  try {
    await client.connect()
    return (await client.query<R>(sql)).rows
  } finally {
    void client.end().catch(() => {})
  }
}

export async function databaseAnswers(url: string): Promise<boolean> {
  return await ask(url, 'SELECT 1', PROBE_MS).then(
    () => true,
    () => false,
  )
}

/** Rows of `events`. */
export async function countEvents(url: string): Promise<number> {
  const [row] = await ask<{ count: string }>(url, 'SELECT count(*) FROM events', 60_000)
  return Number(row?.count)
}

export function addressOf(url: string): { host: string; port: number } {
  const { hostname, port } = new URL(url)
  return { host: hostname, port: Number(port) }
}

/** Of all partitions; undefined when PostgreSQL does not answer. */
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
