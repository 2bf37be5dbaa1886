import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { Child, endLeftover, type Exit } from './child.ts'
import { jvmFlags, metaProperties, newId, serverProperties } from './kafka-config.ts'
import { archiveFile, installKafka, type KafkaInstall } from './kafka-install.ts'
import { kafkaAnswers } from './kafka-ready.ts'
import { freePorts } from './ports.ts'

export interface KafkaOptions {
  /** Directory for data, cluster id and configuration. */
  dir: string
  port: number
  /** Port advertised to clients, if not its own. */
  advertisedPort?: number
  controllerPort: number
  /** A second log directory, which gets half of the partitions. */
  secondLogDir?: string
  logFile?: string
  pidFile?: string
  /** Settings of the broker that replace ours or are added to them. */
  settings?: Readonly<Record<string, string>>
  /** For tests: less JIT compilation, so it starts sooner and runs slower. */
  fast?: boolean
  /** Receives progress messages (of the download). */
  onLog?: (line: string) => void
  /** Cancels a download. */
  signal?: AbortSignal
}

const startLimitMs = 120_000
const META_PROPERTIES = 'meta.properties'

/** A single-node Apache Kafka (KRaft) as a child process. */
export class EmbeddedKafka {
  readonly name = 'Kafka'
  readonly bootstrapServers: string
  readonly #options: KafkaOptions
  #install: KafkaInstall | undefined
  #child: Child | undefined
  #extraFlags: string[]

  constructor(options: KafkaOptions, extraFlags: string[] = []) {
    this.#options = options
    this.#extraFlags = extraFlags
    this.bootstrapServers = `127.0.0.1:${options.advertisedPort ?? options.port}`
  }

  /** Resolves when the current run has ended. */
  get exited(): Promise<Exit> {
    return this.#child?.exited ?? Promise.resolve({ code: 0, signal: null })
  }

  get pid(): number | undefined {
    return this.#child?.pid
  }

  lastLines(): string[] {
    return this.#child?.lastLines() ?? []
  }

  /** Finds or downloads what a broker needs. `start` calls it too. */
  async install(): Promise<KafkaInstall> {
    this.#install ??= await installKafka(this.#options.onLog ?? (() => {}), this.#options.signal)
    return this.#install
  }

  /** Starts with the data of the previous run and waits until the broker is ready. */
  async start(): Promise<void> {
    const install = await this.install()
    const { dir, port, advertisedPort = port, controllerPort, secondLogDir, settings = {} } = this.#options
    const pidFile = this.#options.pidFile ?? join(dir, 'kafka.pid')
    await endLeftover(pidFile, 'SIGTERM', 5_000)
    prepare(dir, install, secondLogDir)
    writeFileSync(
      join(dir, 'server.properties'),
      serverProperties({
        port,
        advertisedPort,
        controllerPort,
        dataDir: secondLogDir === undefined ? 'data' : `data,${secondLogDir}`,
        more: settings,
      }),
    )
    const child = new Child({
      name: this.name,
      command: install.java,
      args: [
        ...this.#flags(install),
        '-cp',
        install.jars.join(delimiter),
        'kafka.Kafka',
        'server.properties',
      ],
      // The JVM has many threads, for which one malloc arena would not be enough.
      env: { ...process.env, MALLOC_ARENA_MAX: undefined },
      cwd: dir,
      logFile: this.#options.logFile ?? join(dir, 'kafka.log'),
      pidFile,
    })
    child.start()
    this.#child = child
    await child.waitUntil(() => kafkaAnswers(port), startLimitMs)
  }

  /** Shuts down cleanly; sends SIGKILL after `limitMs`. @returns whether SIGKILL was needed */
  async stop(limitMs = 10_000): Promise<boolean> {
    return (await this.#child?.stop('SIGTERM', limitMs)) ?? false
  }

  async kill(): Promise<void> {
    await this.#child?.kill()
  }

  async freeze(): Promise<void> {
    await this.#child?.freeze()
  }

  async thaw(): Promise<void> {
    this.#child?.thaw()
  }

  #flags(install: KafkaInstall): string[] {
    const archive = archiveFile(install)
    return [
      ...jvmFlags(this.#options.fast ?? false),
      // The JVM ignores an archive that does not match (another Java build, changed jars).
      ...(existsSync(archive)
        ? [`-XX:SharedArchiveFile=${archive}`, '-Xlog:cds=off', '-Xlog:cds+dynamic=off']
        : []),
      `-Dlog4j2.configurationFile=${join(install.home, 'log4j2.properties')}`,
      '-Djava.awt.headless=true',
      ...this.#extraFlags,
    ]
  }
}

/**
 * Runs a broker once to create a class data sharing archive, which halves the time of every later start. Takes
 * about 9 s, once per Java version. Errors are ignored: without the archive, starts are only slower.
 */
export async function archiveClasses(
  install: KafkaInstall,
  { signal, pidFile }: { signal?: AbortSignal; pidFile: string },
): Promise<void> {
  const archive = archiveFile(install)
  if (existsSync(archive) || signal?.aborted) return
  const dir = mkdtempSync(join(tmpdir(), 'firehose-kafka-archive-'))
  const part = `${archive}.part-${process.pid}`
  const [port = 0, controllerPort = 0] = await freePorts(2)
  const kafka = new EmbeddedKafka({ dir, port, controllerPort, pidFile, fast: true }, [
    `-XX:ArchiveClassesAtExit=${part}`,
  ])
  const abort = () => void kafka.kill()
  signal?.addEventListener('abort', abort)
  try {
    await kafka.start()
    await kafka.stop(60_000)
    if (statSync(part).size > 0) renameSync(part, archive)
  } catch {
    await kafka.kill()
  } finally {
    signal?.removeEventListener('abort', abort)
    rmSync(part, { force: true })
    rmSync(dir, { recursive: true, force: true })
  }
}

/** Formats new log directories. The first one's meta.properties is written last, because it marks all as complete. */
function prepare(dir: string, install: KafkaInstall, secondLogDir?: string): void {
  const data = join(dir, 'data')
  if (existsSync(join(data, META_PROPERTIES))) return
  const clusterId = newId()
  if (secondLogDir !== undefined) format(secondLogDir, clusterId)
  mkdirSync(data, { recursive: true })
  copyFileSync(join(install.home, 'formatted', 'bootstrap.checkpoint'), join(data, 'bootstrap.checkpoint'))
  format(data, clusterId)
}

function format(logDir: string, clusterId: string): void {
  mkdirSync(logDir, { recursive: true })
  const marker = join(logDir, META_PROPERTIES)
  writeFileSync(`${marker}.part`, metaProperties(clusterId))
  renameSync(`${marker}.part`, marker)
}
