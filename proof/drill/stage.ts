import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import { kafkaAnswers } from '../../embedded/kafka-ready.ts'
import type { NodeService } from '../../embedded/node-service.ts'
import { freePorts } from '../../embedded/ports.ts'
import { Pipeline } from '../pipeline.ts'
import { HttpTap } from './http-tap.ts'
import { KafkaTap } from './kafka-tap.ts'
import { PostgresTap } from './postgres-tap.ts'
import { SmallDisk } from './small-disk.ts'
import { TcpProxy } from './tcp-proxy.ts'

/** A part of the stack that can break, whatever it is. */
export interface Part {
  name: string
  /** Undefined when it is no process of this machine, or does not run. */
  pid(): number | undefined
  start(): Promise<unknown>
  /** In order, as an operator would. */
  stop(): Promise<unknown>
  kill(): Promise<unknown>
  freeze(): Promise<void>
  thaw(): Promise<void> | void
  /** Whether it answers within PROBE_MS. */
  answers(): Promise<boolean>
}

export interface SinkPart extends Part {
  service: NodeService
  /** Between this sink and PostgreSQL. */
  proxy: TcpProxy
}

/** Short timeouts, so that each fault is noticed within seconds; the shipped ones differ in length only. */
const ENV = {
  KAFKA_SESSION_TIMEOUT_MS: '2000',
  DATABASE_TIMEOUT_MS: '1000',
  DELIVERY_TIMEOUT_MS: '3000',
  SHUTDOWN_TIMEOUT_MS: '8000',
}
const MAX_CONNECTIONS = 30
const PROBE_MS = 500
const STOP_LIMIT_MS = 15_000
const RECOVERY_LIMIT_MS = 120_000

/** An API, two sinks, Kafka and PostgreSQL, with a proxy between each pair. */
export class Stage {
  readonly pipeline: Pipeline
  readonly api: Part
  readonly sinks: readonly [SinkPart, SinkPart]
  readonly kafka: Part
  readonly postgres: Part
  /** Between the clients and the API. */
  readonly httpProxy: TcpProxy
  /** Between Kafka and all of its clients: a link's `client` tells whose it is. */
  readonly kafkaProxy: TcpProxy
  /** Where PostgreSQL keeps its data; undefined where no small file system can be had. */
  readonly disk: SmallDisk | undefined
  #rival: NodeService | undefined

  private constructor(
    parts: Pick<Stage, 'pipeline' | 'api' | 'sinks' | 'httpProxy' | 'kafkaProxy' | 'disk'>,
    kafkaPort: number,
  ) {
    this.pipeline = parts.pipeline
    this.api = parts.api
    this.sinks = parts.sinks
    this.httpProxy = parts.httpProxy
    this.kafkaProxy = parts.kafkaProxy
    this.disk = parts.disk
    const { kafka, postgres } = parts.pipeline.backend
    this.kafka = partOf('Kafka', kafka, async () => await kafkaAnswers(kafkaPort, PROBE_MS))
    this.postgres = partOf('PostgreSQL', postgres, async () => await databaseAnswers(postgres.url))
  }

  /** Starts all of it on empty data. */
  static async start(): Promise<Stage> {
    const [kafkaPort = 0] = await freePorts(1)
    const kafkaProxy = await TcpProxy.start({ host: '127.0.0.1', port: kafkaPort }, () => new KafkaTap())
    const disk = SmallDisk.tryMount()
    const options = { kafkaPort, kafkaAdvertisedPort: kafkaProxy.port }
    const pipeline = await Pipeline.start(
      ENV,
      disk === undefined ? options : { ...options, postgresDir: disk.place },
    )
    await shrinkPostgres(pipeline)
    const api = await pipeline.startApi()
    const httpProxy = await TcpProxy.start(addressOf(api.url), () => new HttpTap())
    const sinks = [await startSink(pipeline, 0), await startSink(pipeline, 1)] as const
    const parts = { pipeline, api: servicePart('API', api), sinks, httpProxy, kafkaProxy, disk }
    return new Stage(parts, kafkaPort)
  }

  /** Where the clients send. */
  get url(): string {
    return `http://127.0.0.1:${this.httpProxy.port}`
  }

  /** A sink of another consumer group: it reads all partitions, too, and writes to the same offsets. */
  async startRival(): Promise<void> {
    if (this.#rival === undefined)
      this.#rival = await this.pipeline.startSink({ KAFKA_GROUP_ID: 'firehose-rival' })
    else await this.#rival.start()
  }

  async stopRival(): Promise<void> {
    await this.#rival?.stop(STOP_LIMIT_MS)
  }

  /** How often a sink that runs now found that another had written its range. */
  async fencesLost(): Promise<number> {
    const services = [...this.sinks.map(({ service }) => service), ...(this.#rival ? [this.#rival] : [])]
    const counts = services.map(async ({ url }) => {
      const response = await fetch(`${url}/metrics`, { signal: AbortSignal.timeout(1_000) }).catch(
        () => undefined,
      )
      return Number(/^firehose_sink_fences_lost_total (\d+)/m.exec((await response?.text()) ?? '')?.[1] ?? 0)
    })
    return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0)
  }

  /**
   * Waits until both sinks read, and new events of every partition go all the way again.
   *
   * @returns how long it took, ms
   * @throws after two minutes, with what each part says
   */
  async recovered(signal: AbortSignal): Promise<number> {
    const startMs = performance.now()
    let before: bigint[] | undefined
    for (;;) {
      signal.throwIfAborted()
      const isRunning = (await Promise.all(this.sinks.map(isReading))).every(Boolean)
      if (isRunning) {
        const now = await this.#nextOffsets()
        before ??= now
        if (before !== undefined && now?.every((offset, index) => offset > (before?.[index] ?? 0n)))
          return performance.now() - startMs
      }
      if (performance.now() - startMs > RECOVERY_LIMIT_MS) throw new Error(await this.#describe())
      await delay(50, undefined, { signal })
    }
  }

  async close(): Promise<void> {
    await this.pipeline.close()
    await Promise.all(
      [this.httpProxy, this.kafkaProxy, ...this.sinks.map(({ proxy }) => proxy)].map((proxy) =>
        proxy.close(),
      ),
    )
    this.disk?.unmount()
  }

  /** Of all partitions; undefined when PostgreSQL does not answer, or the connection broke with the fault before. */
  async #nextOffsets(): Promise<bigint[] | undefined> {
    try {
      const rows = await this.pipeline.query<{ next_offset: string }>(
        'SELECT next_offset FROM sink_offsets ORDER BY partition',
      )
      return rows.map(({ next_offset }) => BigInt(next_offset))
    } catch {
      return undefined
    }
  }

  async #describe(): Promise<string> {
    const states = this.sinks.map(async ({ name, service }) => {
      const lines = service.lastLines().slice(-5).join('\n  ')
      return `${name}: ${JSON.stringify(await service.health())}\n  ${lines}`
    })
    const answers = [this.api, this.kafka, this.postgres].map(
      async (part) => `${part.name} ${(await part.answers()) ? 'answers' : 'does not answer'}`,
    )
    const facts = await Promise.all([...answers, ...states])
    return `not recovered after ${RECOVERY_LIMIT_MS / 1000} s\n${facts.join('\n')}`
  }
}

async function startSink(pipeline: Pipeline, index: number): Promise<SinkPart> {
  const { url } = pipeline.backend.postgres
  const proxy = await TcpProxy.start(addressOf(url), () => new PostgresTap())
  const through = new URL(url)
  through.port = String(proxy.port)
  const service = await pipeline.startSink({ DATABASE_URL: through.href })
  return { ...servicePart(`sink ${index + 1}`, service), service, proxy }
}

function servicePart(name: string, service: NodeService): Part {
  return {
    name,
    pid: () => service.pid,
    start: async () => await service.start(),
    stop: async () => await service.stop(STOP_LIMIT_MS),
    kill: async () => await service.kill(),
    freeze: async () => await service.freeze(),
    thaw: () => service.thaw(),
    answers: async () => {
      const options = { signal: AbortSignal.timeout(PROBE_MS) }
      return await fetch(`${service.url}/health`, options).then(
        () => true,
        () => false,
      )
    },
  }
}

function partOf(
  name: string,
  service: Omit<Part, 'name' | 'pid' | 'answers'> & { pid?: number | undefined },
  answers: () => Promise<boolean>,
): Part {
  return {
    name,
    pid: () => service.pid,
    start: async () => await service.start(),
    stop: async () => await service.stop(),
    kill: async () => await service.kill(),
    freeze: async () => await service.freeze(),
    thaw: async () => await service.thaw(),
    answers,
  }
}

/** Connections and WAL that are soon used up. */
async function shrinkPostgres(pipeline: Pipeline): Promise<void> {
  await pipeline.query(`ALTER SYSTEM SET max_connections = ${MAX_CONNECTIONS}`)
  await pipeline.query(`ALTER SYSTEM SET max_wal_size = '64MB'`)
  await pipeline.backend.postgres.stop()
  await pipeline.backend.postgres.start()
}

async function databaseAnswers(url: string): Promise<boolean> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: PROBE_MS,
    query_timeout: PROBE_MS,
  })
  client.on('error', () => {})
  try {
    await client.connect()
    await client.query('SELECT 1')
    return true
  } catch {
    return false
  } finally {
    void client.end().catch(() => {})
  }
}

async function isReading({ service }: SinkPart): Promise<boolean> {
  const health = await service.health()
  return health?.state === 'running' && (health.partitions as unknown[]).length > 0
}

function addressOf(url: string): { host: string; port: number } {
  const { hostname, port } = new URL(url)
  return { host: hostname, port: Number(port) }
}
