import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import pg from 'pg'
import { kafkaAnswers } from '../../embedded/kafka-ready.ts'
import { endsOf, isCaughtUp } from '../stack/caught-up.ts'
import { type CloseOptions, stateOfContainer } from '../stack/backends.ts'
import { ComposeStack } from '../stack/compose.ts'
import { verify } from '../verify/verify.ts'
import { HttpTap } from './http-tap.ts'
import type { StartMaintenance } from './maintenance-fault.ts'
import { pagesOf, type Part, PROBE_MS, serviceAnswers, type SinkPart } from './part.ts'
import { type Kind, KINDS, type Kinds, type Moment } from './plan.ts'
import { addressOf, CLOCKS_MS, databaseAnswers, RECOVERY_LIMIT_MS, type Stage } from './stage.ts'
import { TcpProxy } from './tcp-proxy.ts'

const TOPIC = 'events'
/** `long` exceeds the default timeouts (10 s each). */
const TIMES = { brief: 2_000, long: 15_000, sinkLong: 15_000 }
/** Faults only for the embedded stage: they need a proxy inside the stack's network, a separate disk, or a key. */
const ELSEWHERE = /^(disk_full|two_sinks|key_rotated|(sink_postgres|sink_kafka|api_kafka)_\w+)$/
const MOMENTS: readonly Moment[] = ['under_load', 'before_http_answer']
const run = promisify(execFile)

/**
 * The containers of docker-compose.yml with two sinks, with their own project name and ports and default settings,
 * except that the client's facts are stored. The only proxy is between the clients and the API.
 *
 * @param onLog receives the output of docker compose
 */
export async function startComposeStage(onLog: (line: string) => void, signal: AbortSignal): Promise<Stage> {
  const env = {
    KAFKA_TOPIC: TOPIC,
    KAFKA_TOPIC_PARTITIONS: '4',
    SINK_REPLICAS: '2',
    CAPTURE_CLIENT: 'ip,user_agent',
  }
  const stack = await ComposeStack.up({ env, onLog, signal })
  const { apiUrl, databaseUrl, kafkaBootstrapServers } = stack
  const dir = mkdtempSync(join(tmpdir(), 'firehose-drill-'))
  const db = new pg.Pool({ connectionString: databaseUrl, max: 2 })
  db.on('error', () => {})
  const httpProxy = await TcpProxy.start(addressOf(apiUrl), () => new HttpTap())
  const close = async ({ keep }: CloseOptions) => {
    await httpProxy.close()
    const ended = db.end().catch(() => {}) // awaited last: it may wait for a frozen PostgreSQL
    if (keep) await stack.leave()
    else {
      await stack.down()
      rmSync(dir, { recursive: true, force: true })
    }
    await ended
  }
  try {
    const [first = '', second = ''] = await stack.containers('sink-worker')
    const partOf = async (name: string, service: string, answers: () => Promise<boolean>): Promise<Part> =>
      containerPart(name, (await stack.containers(service))[0] ?? '', answers)
    return {
      kinds: COMPOSE_KINDS,
      unplayable: {},
      api: await partOf('API', 'producer-api', async () => await serviceAnswers(apiUrl)),
      sinks: [sinkPart('sink 1', first), sinkPart('sink 2', second)],
      kafka: await partOf('Kafka', 'kafka', async () => {
        return await kafkaAnswers(addressOf(`http://${kafkaBootstrapServers}`).port, PROBE_MS)
      }),
      postgres: await partOf('PostgreSQL', 'postgres', async () => await databaseAnswers(databaseUrl)),
      databaseUrl,
      httpProxy,
      key: undefined, // as shipped: on a loopback address, none is needed
      kafkaProxy: undefined,
      disk: undefined,
      times: TIMES,
      recoveryLimitMs: RECOVERY_LIMIT_MS,
      data: `${dir} and the containers (restart them with docker compose -p ${stack.project} start)`,
      sinceMs: Date.now() - CLOCKS_MS,
      startMaintenance: maintenanceOf(stack),
      path: (name) => join(dir, name),
      verify: async (ackedFile) =>
        await verify({ databaseUrl, kafkaBootstrapServers, topic: TOPIC, ackedFile }),
      ends: async () => await endsOf([kafkaBootstrapServers], TOPIC),
      isCaughtUp: async () => await isCaughtUp([kafkaBootstrapServers], db, TOPIC),
      close,
    }
  } catch (error) {
    await close({ keep: false })
    throw error
  }
}

/** The faults that can be injected from outside the stack. */
export const COMPOSE_KINDS = composeKinds()

function composeKinds(): Kinds {
  const kinds = (Object.keys(KINDS) as Kind[]).filter((kind) => !ELSEWHERE.test(kind))
  const momentsOf = (kind: Kind): readonly Moment[] => KINDS[kind]
  return Object.fromEntries(
    kinds.map((kind) => [kind, momentsOf(kind).filter((moment) => MOMENTS.includes(moment))]),
  )
}

function containerPart(name: string, id: string, answers: () => Promise<boolean>): Part {
  const docker = async (...args: string[]) => {
    await run('docker', [...args, id])
  }
  return {
    name,
    pid: () => undefined,
    start: async () => await docker('start'),
    stop: async () => await docker('stop'),
    kill: async () => await docker('kill'),
    freeze: async () => await docker('pause'),
    thaw: async () => await docker('unpause'),
    state: async () => {
      const { stdout } = await run('docker', ['inspect', '--format', '{{.State.Status}}', id])
      return stateOfContainer(stdout.trim())
    },
    answers,
  }
}

/** Each run is a container of its own. */
function maintenanceOf(stack: ComposeStack): StartMaintenance {
  let runs = 0
  return async (args, env) => {
    const name = `${stack.project}-maintain-run-${runs++}`
    const ended = stack.runOnce(name, 'cli', ['maintain', ...args], env)
    const part = containerPart('maintain', name, async () => false)
    const unlessEnded = async (change: Promise<unknown>): Promise<void> => void (await change.catch(() => {}))
    return {
      kill: async () => await unlessEnded(part.kill()),
      freeze: async () => await unlessEnded(part.freeze()),
      thaw: async () => await unlessEnded(Promise.resolve(part.thaw())),
      isFrozen: async () => (await Promise.resolve(part.state()).catch(() => 'ended')) === 'frozen',
      ended,
    }
  }
}

function sinkPart(name: string, id: string): SinkPart {
  /** Docker assigns a new port at each start. */
  const url = async (): Promise<string> => {
    const { stdout } = await run('docker', ['port', id, '8001']).catch(() => ({ stdout: '127.0.0.1:1' }))
    return `http://${stdout.trim().split('\n')[0]}`
  }
  return {
    ...containerPart(name, id, async () => await serviceAnswers(await url())),
    ...pagesOf(url),
    lastLines: async () => (await run('docker', ['logs', '--tail', '5', id])).stdout.split('\n'),
    proxy: undefined,
  }
}
