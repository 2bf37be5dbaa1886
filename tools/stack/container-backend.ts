import { getReaper } from 'testcontainers'
import { DatabaseProbe } from '../../embedded/database-probe.ts'
import { jvmFlags, newId, serverSettings } from '../../embedded/kafka-config.ts'
import { kafkaAnswers } from '../../embedded/kafka-ready.ts'
import { freePorts } from '../../embedded/ports.ts'
import type { Backend, BackendOptions, KafkaBackend, PostgresBackend } from './backends.ts'
import { ContainerService, dockerEngine } from './container-service.ts'

const kafkaImage = 'apache/kafka:4.3.0'
const postgresImage = 'postgres:18'
const name = 'firehose' // of user, password and database, as for the embedded PostgreSQL

/** Kafka and PostgreSQL in containers. */
export async function startBackend(options: BackendOptions): Promise<Backend> {
  // Started first, because two containers started at once would each start a Ryuk.
  await getReaper(await dockerEngine())
  const [freePort = 0, postgresPort = 0] = await freePorts(2)
  const { kafkaPort = freePort, kafkaAdvertisedPort = kafkaPort } = options
  const started = await Promise.allSettled([
    runKafka(kafkaPort, kafkaAdvertisedPort),
    runPostgres(postgresPort),
  ])
  const [kafka, postgres] = started
  const close = async () => {
    await Promise.all(started.map(async (one) => one.status === 'fulfilled' && (await one.value.remove())))
  }
  if (kafka.status === 'fulfilled' && postgres.status === 'fulfilled')
    return { kafka: kafka.value, postgres: postgres.value, close }
  await close()
  throw started.find((one) => one.status === 'rejected')?.reason
}

/** PostgreSQL alone. */
export async function startPostgres(): Promise<Omit<Backend, 'kafka'>> {
  const [port = 0] = await freePorts(1)
  const postgres = await runPostgres(port)
  return { postgres, close: async () => await postgres.remove() }
}

async function runKafka(port: number, advertisedPort: number): Promise<ContainerService & KafkaBackend> {
  const controllerPort = port + 1 // never leaves the container
  const flags = jvmFlags(true)
  const isHeap = (flag: string) => flag.startsWith('-Xm')
  const service = await ContainerService.run({
    name: 'Kafka',
    image: kafkaImage,
    // The same port inside the container, because the broker also connects to its own advertised address.
    innerPort: port,
    port,
    env: {
      ...settingsAsEnv(
        serverSettings({
          address: '0.0.0.0',
          port,
          advertisedPort,
          controllerPort,
          dataDir: '/var/lib/kafka/data',
        }),
      ),
      CLUSTER_ID: newId(),
      KAFKA_HEAP_OPTS: flags.filter(isHeap).join(' '),
      KAFKA_JVM_PERFORMANCE_OPTS: flags.filter((flag) => !isHeap(flag)).join(' '),
    },
    answers: async () => await kafkaAnswers(port),
  })
  return Object.assign(service, { bootstrapServers: `127.0.0.1:${advertisedPort}` })
}

async function runPostgres(port: number): Promise<ContainerService & PostgresBackend> {
  const url = `postgresql://${name}:${name}@127.0.0.1:${port}/${name}`
  const service = await ContainerService.run({
    name: 'PostgreSQL',
    image: postgresImage,
    innerPort: 5432,
    port,
    env: {
      POSTGRES_USER: name,
      POSTGRES_PASSWORD: name,
      POSTGRES_DB: name,
      POSTGRES_INITDB_ARGS: '--no-sync',
    },
    command: ['postgres', '-c', 'timezone=UTC', '-c', 'log_timezone=UTC'],
    answers: async () => {
      const probe = new DatabaseProbe(url)
      const answers = await probe.answers()
      probe.close()
      return answers
    },
  })
  return Object.assign(service, { url })
}

/** A broker's settings as the environment variables that the image expects. */
function settingsAsEnv(settings: Record<string, string>): Record<string, string> {
  const named = Object.entries(settings).map(([key, value]) => [
    `KAFKA_${key.toUpperCase().replaceAll('.', '_')}`,
    value,
  ])
  return Object.fromEntries(named)
}
