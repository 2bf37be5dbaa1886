// The settings of Kafka and PostgreSQL as commands use them.
import { readSinkConfig, type SinkConfig } from '../sink-worker/config.ts'
import { warn } from './command.ts'
import { messageOf } from './verify-text.ts'

/** The settings of the sink; says on standard error what is ignored. @throws {ConfigError} that lists every mistake */
export function readSettingsOfSink(): SinkConfig {
  const config = readSinkConfig(process.env)
  warn(config.warnings)
  return config
}

/** Kafka's address, and where it comes from: what a reader of an error has to know. */
export function kafkaAddress(brokers: readonly string[]): string {
  return `${brokers.join(', ')} (${process.env.KAFKA_BOOTSTRAP_SERVERS ? 'KAFKA_BOOTSTRAP_SERVERS' : 'the default'})`
}

/** What leads this command to another stack, as a prefix of the commands that it proposes. */
export function stackPrefix(): string {
  const names = ['PG_PORT', 'KAFKA_PORT', 'KAFKA_TOPIC', 'KAFKA_GROUP_ID']
  return names.map((name) => (process.env[name] ? `${name}=${process.env[name]} ` : '')).join('')
}

/** Has a server do something. @throws an Error that names the server, with the address and where it comes from */
export async function ask<T>(server: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw new Error(`${server} cannot be used: ${messageOf(error)}`, { cause: error })
  }
}

/** Which servers a command has asked. */
export function whereAsked(databaseAddress: string, brokers: readonly string[]): string {
  return `Asked: PostgreSQL at ${databaseAddress}, Kafka at ${kafkaAddress(brokers)}.`
}
