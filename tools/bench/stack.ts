import { type EmbeddedBackend, startBackend } from '../stack/embedded-backend.ts'
import { Pipeline } from '../stack/pipeline.ts'
import { OTHER_CORE, pin } from './machine.ts'

/** Kafka and PostgreSQL as in `npm start`, and our services on top. */
export interface Stack {
  pipeline: Pipeline
  /** Their current pids. */
  readonly kafkaPid: number
  readonly postgresPid: number
}

/**
 * Starts Kafka and PostgreSQL with their default durability.
 *
 * @param env settings for our services
 * @param isPinned whether to bind them to the core that is not measured
 */
export async function startStack(
  env: NodeJS.ProcessEnv = {},
  { isPinned = true }: { isPinned?: boolean } = {},
): Promise<Stack> {
  const backend = await startBackend({ kafkaCompilesAll: true })
  const { kafka, postgres } = backend
  // Their future children inherit the binding.
  if (isPinned) for (const server of [kafka, postgres]) pin(pidOf(server), OTHER_CORE)
  const pipeline = await Pipeline.on(backend, { LOG_LEVEL: 'warn', ...env })
  return {
    pipeline,
    get kafkaPid() {
      return pidOf(kafka)
    },
    get postgresPid() {
      return pidOf(postgres)
    },
  }
}

/** Events in the topic: without transactions, each offset is one record. */
export async function eventsInTopic(pipeline: Pipeline): Promise<number> {
  return (await pipeline.ends()).reduce((sum, end) => sum + Number(end), 0)
}

function pidOf({ name, pid }: EmbeddedBackend['kafka'] | EmbeddedBackend['postgres']): number {
  if (pid === undefined) throw new Error(`${name} ended at once`)
  return pid
}
