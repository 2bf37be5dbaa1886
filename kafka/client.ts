import { type ISocketFactory, Kafka, type KafkaConfig, logLevel, type SASLOptions } from 'kafkajs'
import type { Logger } from '../platform/log.ts'
import { openSocket, seedAddress } from './socket.ts'
import './codecs/codecs.ts'
import './patches.ts'

export interface KafkaConnection {
  /** `host:port` or `[IPv6]:port`. */
  brokers: string[]
  ssl: KafkaConfig['ssl']
  sasl: SASLOptions | undefined
}

/** What each instance of kafkajs needs in order to connect. */
export function connectionOptions({
  brokers,
  ssl,
  sasl,
}: Partial<KafkaConnection>): Pick<KafkaConfig, 'brokers' | 'ssl' | 'sasl' | 'socketFactory'> {
  return {
    brokers: (brokers ?? []).map(seedAddress),
    socketFactory: openSocket,
    ...(ssl === undefined ? {} : { ssl }),
    ...(sasl === undefined ? {} : { sasl }),
  }
}

/**
 * Creates a kafkajs instance that writes to our log. Use one for each producer or consumer: kafkajs shares offset state
 * between the consumers of one instance. Calls fail within seconds, so that the caller decides how long to retry.
 */
export function createKafka(
  connection: KafkaConnection,
  clientId: string,
  logger: Logger,
  socketFactory: ISocketFactory = openSocket,
): Kafka {
  return new Kafka({
    clientId,
    ...connectionOptions(connection),
    socketFactory,
    connectionTimeout: 3_000,
    requestTimeout: 6_000,
    enforceRequestTimeout: true,
    retry: { retries: 2, initialRetryTime: 100, maxRetryTime: 1_000 },
    logLevel: logger.isLevelEnabled('trace') ? logLevel.DEBUG : logLevel.WARN,
    logCreator: () => logThrough(logger.child({ component: 'kafkajs' })),
  })
}

/** Logs at debug level: kafkajs writes several lines for each attempt to connect, and our code logs what matters. */
function logThrough(logger: Logger) {
  return ({
    level,
    log,
  }: {
    level: logLevel
    log: { message: string; error?: unknown; broker?: unknown }
  }): void => {
    const fields = { broker: log.broker, error: log.error }
    if (level <= logLevel.WARN) logger.debug(fields, log.message)
    else logger.trace(fields, log.message)
  }
}
