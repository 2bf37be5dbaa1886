import { ConfigError } from '../../platform/env.ts'

/** The services that the integration suite runs on, however they are provided. */
export interface Backend {
  kafka: KafkaBackend
  postgres: PostgresBackend
  /** Their data directory, if it is on this machine. */
  readonly dir?: string
  /** Stops the services and removes their data, unless `keep` is set (data in containers are always removed). */
  close(options?: CloseOptions): Promise<void>
}

export interface CloseOptions {
  keep: boolean
}

/** The state of a service according to the operating system or Docker, not to the service itself. */
export type ServiceState = 'running' | 'frozen' | 'ended'

/** @param status Docker's State.Status: https://docs.docker.com/reference/api/engine/ (ContainerInspect) */
export function stateOfContainer(status: string): ServiceState {
  if (status === 'paused') return 'frozen'
  return status === 'running' || status === 'restarting' ? 'running' : 'ended'
}

/**
 * One service and its controls. `start` waits until it answers and keeps its earlier data. `stop` and `kill` do nothing
 * if it is not running, and also work when it is frozen.
 */
export interface ServiceBackend {
  start(): Promise<void>
  stop(): Promise<unknown>
  /** Kills it like a crash (SIGKILL). */
  kill(): Promise<void>
  /** Suspends all its processes: nothing answers, and no connection breaks. */
  freeze(): Promise<void>
  thaw(): Promise<void>
  /** Only for services that are not our child processes. */
  state?(): Promise<ServiceState>
}

export interface KafkaBackend extends ServiceBackend {
  bootstrapServers: string
}

export interface PostgresBackend extends ServiceBackend {
  /** Connection string of a superuser. */
  url: string
}

export interface BackendOptions {
  /** Port on 127.0.0.1 that Kafka advertises to clients, if not its own: a proxy's. */
  kafkaAdvertisedPort?: number
  /** Port on which Kafka listens; a free port by default. */
  kafkaPort?: number
  /** A second log directory for Kafka, which gets half of the partitions; embedded only. */
  kafkaSecondLogDir?: string
  /** Runs Kafka with the full JIT compiler, as `npm start` does: slower to start, faster to run; embedded only. */
  kafkaCompilesAll?: boolean
  /** Settings of the broker that replace ours or are added to them; embedded only. */
  kafkaSettings?: Readonly<Record<string, string>>
  /** PostgreSQL's data directory; a temporary one by default; embedded only. */
  postgresDir?: string
}

/** Implemented by one file for each backend. */
interface Maker {
  startBackend(options: BackendOptions): Promise<Backend>
  startPostgres(): Promise<Omit<Backend, 'kafka'>>
}

// Loaded on demand: the embedded services need no Docker client, and containers need no Java.
const makers = {
  embedded: async (): Promise<Maker> => await import('./embedded-backend.ts'),
  containers: async (): Promise<Maker> => await import('./container-backend.ts'),
}

/** Starts Kafka and PostgreSQL with empty temporary data and on free ports of 127.0.0.1, which they keep over restarts. */
export async function startBackend(options: BackendOptions = {}): Promise<Backend> {
  return await (await chosenMaker()).startBackend(options)
}

/** As startBackend(), without Kafka. */
export async function startPostgres(): Promise<Omit<Backend, 'kafka'>> {
  return await (await chosenMaker()).startPostgres()
}

/**
 * The backend chosen by FIREHOSE_BACKEND; `embedded` by default.
 *
 * @throws {ConfigError} if there is none of that name
 */
export function backendName(env: NodeJS.ProcessEnv = process.env): keyof typeof makers {
  const name = env.FIREHOSE_BACKEND || 'embedded'
  if (Object.hasOwn(makers, name)) return name as keyof typeof makers
  throw new ConfigError([`FIREHOSE_BACKEND must be ${Object.keys(makers).join(' or ')}, not "${name}"`])
}

async function chosenMaker(): Promise<Maker> {
  return await makers[backendName()]()
}
