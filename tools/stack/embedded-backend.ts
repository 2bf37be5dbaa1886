import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { archiveClasses, EmbeddedKafka } from '../../embedded/kafka.ts'
import { freePorts } from '../../embedded/ports.ts'
import { EmbeddedPostgres } from '../../embedded/postgres.ts'
import type { Backend, BackendOptions, CloseOptions } from './backends.ts'
import { spawnGuard } from './guard.ts'

/** A backend whose services are child processes, with pids. */
export interface EmbeddedBackend extends Backend {
  kafka: EmbeddedKafka
  postgres: EmbeddedPostgres
}

/** Kafka and PostgreSQL as child processes. */
export async function startBackend(options: BackendOptions): Promise<EmbeddedBackend> {
  const place = makePlace()
  const [freePort = 0, controllerPort = 0, postgresPort = 0] = await freePorts(3)
  const port = options.kafkaPort ?? freePort
  const { kafkaAdvertisedPort: advertisedPort = port } = options
  const kafka = new EmbeddedKafka({
    dir: join(place.dir, 'kafka'),
    port,
    advertisedPort,
    controllerPort,
    ...(options.kafkaSecondLogDir === undefined ? {} : { secondLogDir: options.kafkaSecondLogDir }),
    ...(options.kafkaSettings === undefined ? {} : { settings: options.kafkaSettings }),
    fast: !options.kafkaCompilesAll,
    pidFile: join(place.dir, 'kafka.pid'),
    onLog: console.error,
  })
  const postgres = makePostgres(place.dir, postgresPort, options.postgresDir)
  const close = async ({ keep }: CloseOptions = { keep: false }) => {
    await Promise.all([kafka.kill(), postgres.kill()])
    if (keep) place.keep()
    else place.remove()
  }
  try {
    await archiveClasses(await kafka.install(), { pidFile: join(place.dir, 'kafka-archive.pid') })
    await Promise.all([kafka.start(), postgres.start()])
  } catch (error) {
    await close()
    throw error
  }
  return { kafka, postgres, dir: place.dir, close }
}

/** PostgreSQL alone. */
export async function startPostgres(): Promise<Omit<Backend, 'kafka'>> {
  const place = makePlace()
  const [port = 0] = await freePorts(1)
  const postgres = makePostgres(place.dir, port)
  const close = async () => {
    await postgres.kill()
    place.remove()
  }
  try {
    await postgres.start()
  } catch (error) {
    await close()
    throw error
  }
  return { postgres, close }
}

/** A directory for data and pid files. If this process dies, the guard kills these processes and removes it. */
function makePlace(): { dir: string; remove: () => void; keep: () => void } {
  const dir = mkdtempSync(join(tmpdir(), 'firehose-test-'))
  // Under root, PostgreSQL runs as another user, who needs search permission here.
  chmodSync(dir, 0o711)
  const guard = spawnGuard(dir)
  const remove = () => {
    rmSync(dir, { recursive: true, force: true })
    guard.stdin?.end()
  }
  return { dir, remove, keep: () => guard.stdin?.end('keep\n') }
}

function makePostgres(dir: string, port: number, dataDir = join(dir, 'postgres')): EmbeddedPostgres {
  return new EmbeddedPostgres({
    dir: dataDir,
    port,
    pidFile: join(dir, 'postgres.pid'),
    noInitSync: true,
    onLog: console.error,
  })
}
