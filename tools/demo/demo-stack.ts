import { UserError } from '../../embedded/user-error.ts'
import { ComposeStack, requireDocker } from '../stack/compose.ts'
import { Pipeline } from '../stack/pipeline.ts'
import { healthOf, type SinkHealth } from '../stack/sink-health.ts'

/** A complete Firehose, ready for events, with a database that can be stopped. */
export interface DemoStack {
  /** A description of what it runs on. */
  name: string
  apiUrl: string
  databaseUrl: string
  kafkaBootstrapServers: string
  topic: string
  /** Resolves when it has stopped. */
  stopDatabase(): Promise<unknown>
  /** May resolve before it answers. */
  startDatabase(): Promise<void>
  /** /health of each sink that answers. */
  sinkHealth(): Promise<SinkHealth[]>
  /** Stops everything and removes the data. */
  close(): Promise<void>
}

const TOPIC = 'events'

/** Kafka and PostgreSQL as child processes, as in `npm start`, but on free ports and with temporary data. */
export async function startEmbeddedStack(): Promise<DemoStack> {
  const pipeline = await Pipeline.start({ KAFKA_TOPIC: TOPIC })
  try {
    const api = await pipeline.startApi()
    const sink = await pipeline.startSink()
    const { kafka, postgres } = pipeline.backend
    return {
      name: 'embedded services',
      apiUrl: api.url,
      databaseUrl: postgres.url,
      kafkaBootstrapServers: kafka.bootstrapServers,
      topic: TOPIC,
      stopDatabase: () => postgres.stop(),
      startDatabase: () => postgres.start(),
      sinkHealth: () => healthOf([sink.url]),
      close: () => pipeline.close(),
    }
  } catch (error) {
    await pipeline.close()
    throw error
  }
}

/**
 * The containers of docker-compose.yml, with their own project name and ports.
 *
 * @param onLog receives the output of docker compose
 * @throws {UserError} if Docker is not available
 */
export async function startComposeStack(
  onLog: (line: string) => void,
  signal: AbortSignal,
): Promise<DemoStack> {
  await requireDocker().catch((error: Error) => {
    const sentence = error.message.replace(/\.$/, '')
    throw new UserError(`${sentence}; or, without Docker: npx firehose demo --embedded`)
  })
  const stack = await ComposeStack.up({ env: { KAFKA_TOPIC: TOPIC }, onLog, signal })
  const { apiUrl, databaseUrl, kafkaBootstrapServers } = stack
  try {
    const sinkUrls = await stack.sinkUrls()
    return {
      name: 'docker compose',
      apiUrl,
      databaseUrl,
      kafkaBootstrapServers,
      topic: TOPIC,
      stopDatabase: () => stack.stop('postgres'),
      startDatabase: () => stack.start('postgres'),
      sinkHealth: () => healthOf(sinkUrls),
      close: () => stack.down(),
    }
  } catch (error) {
    await stack.down()
    throw error
  }
}
