import { randomBytes } from 'node:crypto'

export interface BrokerPlace {
  port: number
  /** Port on 127.0.0.1 advertised to clients: the broker's own, or a proxy's. */
  advertisedPort: number
  controllerPort: number
  /** Relative to the broker's working directory, because log.dirs treats a comma in a path as a separator. */
  dataDir: string
  /** Address to listen on for clients; 127.0.0.1 by default. */
  address?: string
  /** Settings that replace these or are added to them. */
  more?: Readonly<Record<string, string>>
}

/** Settings for a single node that is both broker and controller. */
export function serverSettings(place: BrokerPlace): Record<string, string> {
  const { port, advertisedPort, controllerPort, dataDir, address = '127.0.0.1', more = {} } = place
  return {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    listeners: `PLAINTEXT://${address}:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${advertisedPort}`,
    'controller.listener.names': 'CONTROLLER',
    'log.dirs': dataDir,
    'auto.create.topics.enable': 'false',
    // Kafka rejects a replication factor larger than the number of brokers.
    'default.replication.factor': '1',
    'offsets.topic.replication.factor': '1',
    'offsets.topic.num.partitions': '4',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'share.coordinator.state.topic.replication.factor': '1',
    'share.coordinator.state.topic.min.isr': '1',
    'group.initial.rebalance.delay.ms': '0',
    // Allows session timeouts below the default minimum of 6 s, so that a dead worker's partitions move sooner.
    'group.min.session.timeout.ms': '1000',
    'num.network.threads': '1',
    'num.io.threads': '2',
    // The default of 128 MB would be allocated from the heap.
    'log.cleaner.dedupe.buffer.size': '4194304',
    // After kill -9 the broker waits until its previous session expires: 2 s instead of the default 9 s.
    'broker.session.timeout.ms': '2000',
    'broker.heartbeat.interval.ms': '500',
    ...more,
  }
}

/** The same settings in the format of server.properties. */
export function serverProperties(place: BrokerPlace): string {
  return Object.entries(serverSettings(place))
    .map(([key, value]) => `${key}=${value}\n`)
    .join('')
}

/** JVM options for a broker. `fast` is for tests: less JIT compilation, so it starts sooner and runs slower. */
export function jvmFlags(fast: boolean): string[] {
  return [
    '-Xms64m',
    fast ? '-Xmx256m' : '-Xmx512m',
    '-XX:+UseSerialGC',
    '-XX:+ExitOnOutOfMemoryError',
    ...(fast ? ['-XX:TieredStopAtLevel=1'] : []),
  ]
}

/** Contents of meta.properties, which marks a log directory as formatted for a cluster. */
export function metaProperties(clusterId: string): string {
  return `version=1\ncluster.id=${clusterId}\nnode.id=1\ndirectory.id=${newId()}\n`
}

/** A random id in Kafka's format: 16 bytes, base64url. */
export function newId(): string {
  const id = randomBytes(16).toString('base64url')
  // A leading minus would be parsed as a command-line option.
  return id.startsWith('-') ? newId() : id
}
