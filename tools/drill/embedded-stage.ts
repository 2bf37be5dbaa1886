import { fileURLToPath } from 'node:url'
import { Child } from '../../embedded/child.ts'
import { kafkaAnswers } from '../../embedded/kafka-ready.ts'
import type { NodeService } from '../../embedded/node-service.ts'
import { freePorts } from '../../embedded/ports.ts'
import { NODE_FLAGS, NODE_VARIABLES } from '../../platform/node-conf.ts'
import { backendName, type CloseOptions, type ServiceBackend } from '../stack/backends.ts'
import { Pipeline } from '../stack/pipeline.ts'
import { DrillKey } from './drill-key.ts'
import { HttpTap } from './http-tap.ts'
import { KafkaTap } from './kafka-tap.ts'
import type { StartMaintenance } from './maintenance-fault.ts'
import { pagesOf, type Part, PROBE_MS, serviceAnswers, type SinkPart, stateOfProcess } from './part.ts'
import { KINDS } from './plan.ts'
import { PostgresTap } from './postgres-tap.ts'
import { NO_SMALL_DISK, SmallDisk } from './small-disk.ts'
import { addressOf, CLOCKS_MS, databaseAnswers, RECOVERY_LIMIT_MS, type Stage } from './stage.ts'
import { TcpProxy } from './tcp-proxy.ts'

/** With short timeouts, so that each fault is noticed within seconds; the defaults only take longer. */
const ENV = {
  KAFKA_SESSION_TIMEOUT_MS: '2000',
  DATABASE_TIMEOUT_MS: '1000',
  DELIVERY_TIMEOUT_MS: '3000',
  SHUTDOWN_TIMEOUT_MS: '8000',
  CAPTURE_CLIENT: 'ip,user_agent', // so that all columns are used
}
const TIMES = { brief: 800, long: 4_000, sinkLong: 8_000 }
const NO_DISK_OF_OURS = 'PostgreSQL in a container has no separate disk'
const MAX_CONNECTIONS = 30
const STOP_LIMIT_MS = 15_000
const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/**
 * Child processes with empty data (or Kafka and PostgreSQL in containers, with FIREHOSE_BACKEND=containers), and a proxy
 * on every connection between them. The API takes only events with a key. The disk can be filled if a small file system can
 * be mounted.
 */
export async function startEmbeddedStage(): Promise<Stage> {
  const [kafkaPort = 0] = await freePorts(1)
  const kafkaProxy = await TcpProxy.start({ host: '127.0.0.1', port: kafkaPort }, () => new KafkaTap())
  const isEmbedded = backendName() === 'embedded'
  const disk = isEmbedded ? SmallDisk.tryMount() : undefined
  const pipeline = await Pipeline.start(ENV, {
    kafkaPort,
    kafkaAdvertisedPort: kafkaProxy.port,
    ...(disk === undefined ? {} : { postgresDir: disk.place }),
  })
  const proxies = [kafkaProxy]
  const close = async ({ keep }: CloseOptions) => {
    await pipeline.close({ keep })
    await Promise.all(proxies.map(async (proxy) => await proxy.close()))
    if (keep) disk?.save(pipeline.path('postgres'))
    disk?.unmount()
  }
  try {
    await shrinkPostgres(pipeline)
    const key = await DrillKey.create(pipeline.path('keys.json'))
    const api = await pipeline.startApi({ API_KEYS_FILE: key.file })
    const httpProxy = await TcpProxy.start(addressOf(api.url), () => new HttpTap())
    proxies.push(httpProxy)
    const sinks = [await startSink(pipeline, 'sink 1'), await startSink(pipeline, 'sink 2')] as const
    proxies.push(...sinks.map(({ proxy }) => proxy))
    const { kafka, postgres } = pipeline.backend
    return {
      kinds: KINDS,
      unplayable: disk === undefined ? { disk_full: isEmbedded ? NO_SMALL_DISK : NO_DISK_OF_OURS } : {},
      api: servicePart('API', api),
      sinks,
      kafka: backendPart('Kafka', kafka, async () => await kafkaAnswers(kafkaPort, PROBE_MS)),
      postgres: backendPart('PostgreSQL', postgres, async () => await databaseAnswers(postgres.url)),
      databaseUrl: postgres.url,
      httpProxy,
      key,
      kafkaProxy,
      disk,
      times: TIMES,
      recoveryLimitMs: RECOVERY_LIMIT_MS,
      data: pipeline.dirs.join(' and '),
      sinceMs: Date.now() - CLOCKS_MS,
      startMaintenance: maintenanceOf(pipeline),
      ...rivalOf(pipeline),
      path: (name) => pipeline.path(name),
      verify: async (ackedFile) => await pipeline.verify(ackedFile),
      ends: async () => await pipeline.ends(),
      isCaughtUp: async () => await pipeline.isCaughtUp(),
      close,
    }
  } catch (error) {
    await close({ keep: false })
    throw error
  }
}

/** A sink and the proxy between it and PostgreSQL. */
export interface ProxiedSink extends SinkPart {
  service: NodeService
  proxy: TcpProxy
}

/** Starts a sink that reaches PostgreSQL through a proxy. `env` overrides the pipeline's. */
export async function startSink(
  pipeline: Pipeline,
  name: string,
  env: NodeJS.ProcessEnv = {},
): Promise<ProxiedSink> {
  const url = env.DATABASE_URL ?? pipeline.backend.postgres.url
  const proxy = await TcpProxy.start(addressOf(url), () => new PostgresTap())
  const through = new URL(url)
  through.port = String(proxy.port)
  const service = await pipeline.startSink({ ...env, DATABASE_URL: through.href })
  return { ...sinkPart(name, service, proxy), service, proxy }
}

/** Each run is a process of its own. */
function maintenanceOf(pipeline: Pipeline): StartMaintenance {
  let runs = 0
  return async (args, env) => {
    const name = `maintain-${runs++}`
    const child = new Child({
      name,
      command: process.execPath,
      args: [...NODE_FLAGS, 'cli/firehose.ts', 'maintain', ...args],
      env: { ...NODE_VARIABLES, ...pipeline.env, ...env },
      cwd: ROOT,
      logFile: pipeline.path(`${name}.log`),
      pidFile: pipeline.path(`${name}.pid`),
    })
    child.start()
    return {
      kill: async () => await child.kill(),
      freeze: async () => {
        if (child.pid !== undefined) await child.freeze()
      },
      thaw: () => child.thaw(),
      isFrozen: () => stateOfProcess(child.pid) === 'frozen',
      ended: child.exited.then(({ code }) => ({ code, text: child.lastLines().join('\n') })),
    }
  }
}

function rivalOf(pipeline: Pipeline): Required<Pick<Stage, 'startRival' | 'stopRival'>> {
  let rival: NodeService | undefined
  return {
    startRival: async () => {
      if (rival === undefined) rival = await pipeline.startSink({ KAFKA_GROUP_ID: 'firehose-rival' })
      else await rival.start()
      return sinkPart('rival', rival, undefined)
    },
    stopRival: async () => {
      await rival?.stop(STOP_LIMIT_MS)
    },
  }
}

function sinkPart(name: string, service: NodeService, proxy: TcpProxy | undefined): SinkPart {
  return {
    ...servicePart(name, service),
    ...pagesOf(() => service.url),
    lastLines: () => service.lastLines(),
    proxy,
  }
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
    state: () => stateOfProcess(service.pid),
    answers: async () => await serviceAnswers(service.url),
  }
}

function backendPart(
  name: string,
  service: ServiceBackend & { pid?: number | undefined },
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
    state: async () => (await service.state?.()) ?? stateOfProcess(service.pid),
    answers,
  }
}

/** Low limits for connections and WAL, so that they are quickly exhausted. */
async function shrinkPostgres(pipeline: Pipeline): Promise<void> {
  await pipeline.query(`ALTER SYSTEM SET max_connections = ${MAX_CONNECTIONS}`)
  await pipeline.query(`ALTER SYSTEM SET max_wal_size = '64MB'`)
  await pipeline.backend.postgres.stop()
  await pipeline.backend.postgres.start()
}
