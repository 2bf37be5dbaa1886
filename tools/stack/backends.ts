import { UserError } from '../../embedded/user-error.ts'

/** What the integration suite runs on: the same services whatever provides them. */
export interface Backend {
  kafka: KafkaBackend
  postgres: PostgresBackend
  /** Where their data lie, if on this machine. */
  readonly dir?: string
  /** Ends the services and removes their data, unless those are to be kept (what is in containers goes). */
  close(options?: CloseOptions): Promise<void>
}

export interface CloseOptions {
  keep: boolean
}

/** Whether it runs, as the machine (not the service itself) tells. */
export type ServiceState = 'running' | 'frozen' | 'ended'

/** @param status Docker's State.Status: https://docs.docker.com/reference/api/engine/ (ContainerInspect) */
export function stateOfContainer(status: string): ServiceState {
  if (status === 'paused') return 'frozen'
  return status === 'running' || status === 'restarting' ? 'running' : 'ended'
}

/**
 * One service and what can be done to it. `start` waits until it answers and finds the data it had before; to `stop` or
 * `kill` what does not run does nothing, and what is frozen ends by them too.
 */
export interface ServiceBackend {
  start(): Promise<void>
  stop(): Promise<unknown>
  /** As a crash would (SIGKILL). */
  kill(): Promise<void>
  /** All of its processes stand still: nothing answers and no connection breaks. */
  freeze(): Promise<void>
  thaw(): Promise<void>
  /** Only where it is no child process of ours. */
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
  /** Port of 127.0.0.1 to which Kafka sends its clients, if not its own: a proxy's. */
  kafkaAdvertisedPort?: number
  /** Port on which Kafka listens; a free one when left out. */
  kafkaPort?: number
  /** Where Kafka keeps half of the partitions, if not with the others; embedded only. */
  kafkaSecondLogDir?: string
  /** Kafka starts later and runs faster, as in `npm start`; embedded only. */
  kafkaCompilesAll?: boolean
  /** Where PostgreSQL keeps its data, if not in a temporary folder; embedded only. */
  postgresDir?: string
}

/** Where services come from: one file for each. */
interface Maker {
  startBackend(options: BackendOptions): Promise<Backend>
  startPostgres(): Promise<Omit<Backend, 'kafka'>>
}

// Loaded only where it is chosen: the embedded services need no Docker client, and containers no Java.
const makers = {
  embedded: async (): Promise<Maker> => await import('./embedded-backend.ts'),
  containers: async (): Promise<Maker> => await import('./container-backend.ts'),
}

/** Starts Kafka and PostgreSQL on empty temporary data and free ports of 127.0.0.1, which they keep over restarts. */
export async function startBackend(options: BackendOptions = {}): Promise<Backend> {
  return await (await chosenMaker()).startBackend(options)
}

/** As startBackend(), for who needs no Kafka. */
export async function startPostgres(): Promise<Omit<Backend, 'kafka'>> {
  return await (await chosenMaker()).startPostgres()
}

/**
 * Which backend the environment asks for: FIREHOSE_BACKEND, by default the embedded one.
 *
 * @throws {UserError} when there is none of that name
 */
export function backendName(env: NodeJS.ProcessEnv = process.env): keyof typeof makers {
  const name = env.FIREHOSE_BACKEND || 'embedded'
  if (Object.hasOwn(makers, name)) return name as keyof typeof makers
  throw new UserError(`FIREHOSE_BACKEND is "${name}": it must be ${Object.keys(makers).join(' or ')}.`)
}

async function chosenMaker(): Promise<Maker> {
  return await makers[backendName()]()
}
