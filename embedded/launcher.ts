import { existsSync, renameSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { databaseTarget } from '../postgres/database-url.ts'
import { migrate } from '../postgres/migrate.ts'
import { newTables } from '../postgres/new-tables.ts'
import { endLeftover } from './child.ts'
import { archiveClasses, EmbeddedKafka } from './kafka.ts'
import { DatabaseProbe } from './database-probe.ts'
import { checkPorts, type LaunchConfig, logFile, pidFile, serviceEnv } from './launch-settings.ts'
import { NodeService } from './node-service.ts'
import { EmbeddedPostgres } from './postgres.ts'
import { signal } from './process-info.ts'
import type { Screen } from '../platform/screen.ts'
import { type Observation, watchStatus } from './status-line.ts'
import { type Service, supervise } from './supervise.ts'

/** All children have exited within this time after the first signal. */
const stopLimitMs = 9_000
const maxLogBytes = 20_000_000

/** Starts, supervises and stops everything that `npm start` runs. */
export class Launcher {
  readonly kafka: EmbeddedKafka
  readonly postgres: EmbeddedPostgres
  readonly api: NodeService
  readonly sink: NodeService
  readonly maintain: NodeService
  readonly ignoredVariables: string[]
  readonly #config: LaunchConfig
  /** Of the services. */
  readonly #env: NodeJS.ProcessEnv
  readonly #screen: Screen
  readonly #stopping = new AbortController()
  readonly #probe: DatabaseProbe
  readonly #up = new Set<Service>()
  #archive: Promise<void> = Promise.resolve()

  constructor(config: LaunchConfig, screen: Screen, userEnv: NodeJS.ProcessEnv) {
    this.#config = config
    this.#screen = screen
    const files = (name: string) => ({ logFile: logFile(config, name), pidFile: pidFile(config, name) })
    const { kafkaPort, postgresPort, apiPort, opsPort, sinkPort, maintainPort } = config
    const onLog = (line: string) => screen.say(line)
    this.kafka = new EmbeddedKafka({
      dir: join(config.dir, 'kafka'),
      port: kafkaPort,
      controllerPort: kafkaPort + 1,
      ...files('kafka'),
      onLog,
      signal: this.#stopping.signal,
    })
    this.postgres = new EmbeddedPostgres({
      dir: join(config.dir, 'postgres'),
      port: postgresPort,
      ...files('postgres'),
      onLog,
    })
    this.#probe = new DatabaseProbe(this.postgres.url)
    const { env, ignored } = serviceEnv(userEnv, config, this.kafka.bootstrapServers, this.postgres.url)
    this.#env = env
    this.ignoredVariables = ignored
    this.api = new NodeService({
      name: 'API',
      main: 'producer-api/main.ts',
      port: apiPort,
      opsPort,
      env,
      ...files('api'),
    })
    this.sink = new NodeService({
      name: 'Sink',
      main: 'sink-worker/main.ts',
      port: sinkPort,
      env,
      ...files('sink'),
    })
    this.maintain = new NodeService({
      name: 'Maintenance',
      main: 'maintenance/main.ts',
      port: maintainPort,
      env,
      ...files('maintain'),
      startedPath: '/livez', // it waits for PostgreSQL by itself
    })
  }

  /** Ends processes left over from an earlier launcher, then starts all services in dependency order. */
  async start(): Promise<void> {
    await this.#endLeftovers()
    await checkPorts(this.#config)
    this.#rotateLogs()
    await this.kafka.install()
    const { kafkaPort, postgresPort } = this.#config
    await this.#both(
      this.#begin(this.kafka, `127.0.0.1:${kafkaPort}`),
      this.#begin(this.postgres, `127.0.0.1:${postgresPort}`),
    )
    const { url, schema } = databaseTarget(this.#env)
    const applied = await migrate(url, { ...newTables(this.#env), schema })
    if (applied.length > 0) this.#screen.say(`  migrations  ${applied.join(', ')}`)
    await this.#both(this.#begin(this.api, this.api.url), this.#begin(this.sink, this.sink.url))
    // Not awaited: nothing depends on it.
    this.maintain.spawn()
    this.#up.add(this.maintain)
    this.#say(this.maintain, this.maintain.url)
  }

  /** Restarts services that exit and updates the status line until `stop`. @throws if a service cannot run at all */
  async watch(): Promise<void> {
    const stopping = this.#stopping.signal
    const say = (line: string) => this.#screen.say(line)
    const all = [
      { service: this.kafka, needs: [] },
      { service: this.postgres, needs: [] },
      { service: this.api, needs: [this.kafka] },
      { service: this.sink, needs: [this.kafka, this.postgres] },
      { service: this.maintain, needs: [this.postgres] },
    ]
    const install = await this.kafka.install()
    this.#archive = archiveClasses(install, {
      signal: stopping,
      pidFile: pidFile(this.#config, 'kafka-archive'),
    })
    const observe = () => this.#observe()
    const live = (line: string) => this.#screen.live(line)
    await Promise.all([
      ...all.map((one) => supervise(one, this.#up, say, stopping)),
      watchStatus(observe, live, say, stopping),
    ])
  }

  /** Stops all services in reverse order and kills those that do not exit in time. */
  async stop(): Promise<void> {
    this.#stopping.abort()
    this.#probe.close()
    const deadline = Date.now() + stopLimitMs
    const stop = async (service: Service, reserveMs: number) => {
      const limitMs = Math.max(500, deadline - Date.now() - reserveMs)
      if (await service.stop(limitMs)) this.#screen.say(`${service.name} did not stop in time and was killed`)
    }
    await stop(this.api, 5_000)
    await Promise.all([stop(this.sink, 2_000), stop(this.maintain, 2_000)])
    await Promise.all([stop(this.postgres, 0), stop(this.kafka, 0), this.#archive])
  }

  /** Sends SIGKILL to all services and waits until they have exited. */
  async kill(): Promise<void> {
    this.#stopping.abort()
    await Promise.all(this.#services().map((service) => service.kill()))
  }

  /** Sends SIGKILL to all that still run, without waiting: the last resort when this process crashes. */
  killNow(): void {
    for (const { pid } of this.#services()) if (pid) signal(pid, 'SIGKILL')
  }

  #services(): Service[] {
    return [this.api, this.sink, this.maintain, this.postgres, this.kafka]
  }

  async #begin(service: Service, address: string): Promise<void> {
    this.#stopping.signal.throwIfAborted()
    const begun = Date.now()
    await service.start()
    this.#up.add(service)
    const seconds = ((Date.now() - begun) / 1000).toFixed(1)
    this.#say(service, address, `${seconds} s`)
  }

  #say({ name }: Service, address: string, time = ''): void {
    this.#screen.say(`  ${name.padEnd(11)} ${address.padEnd(24)} ${time}`.trimEnd())
  }

  /** Waits for both even if one fails, so that nothing is started after the clean-up. */
  async #both(...starts: Promise<void>[]): Promise<void> {
    for (const result of await Promise.allSettled(starts)) {
      if (result.status === 'rejected') throw result.reason
    }
  }

  async #observe(): Promise<Observation> {
    const probe = this.#up.has(this.postgres) ? this.#probe.answers() : false
    const [api, sink, maintain, databaseAnswers] = await Promise.all([
      this.api.health(),
      this.sink.health(),
      this.maintain.health(),
      probe,
    ])
    return { atMs: Date.now(), api, sink, maintain, databaseAnswers }
  }

  async #endLeftovers(): Promise<void> {
    const ended: string[] = []
    const end = async (name: string, by: NodeJS.Signals, limitMs: number) => {
      if (await endLeftover(pidFile(this.#config, name), by, limitMs)) ended.push(name)
    }
    await end('kafka-archive', 'SIGKILL', 0)
    await Promise.all(['api', 'sink', 'maintain'].map(async (name) => await end(name, 'SIGTERM', 3_000)))
    await Promise.all([end('postgres', 'SIGINT', 5_000), end('kafka', 'SIGTERM', 5_000)])
    if (ended.length > 0)
      this.#screen.say(`Stopped processes left running by an earlier start: ${ended.join(', ')}`)
  }

  #rotateLogs(): void {
    for (const name of ['kafka', 'postgres', 'api', 'sink', 'maintain']) {
      const file = logFile(this.#config, name)
      if (existsSync(file) && statSync(file).size > maxLogBytes) renameSync(file, `${file}.1`)
    }
  }
}
