import { randomBytes } from 'node:crypto'

export interface BrokerPlace {
  port: number
  /** Where it sends its clients, always on 127.0.0.1: its own port, or a proxy's. */
  advertisedPort: number
  controllerPort: number
  /** Relative to the broker's working directory: log.dirs would take a comma in a path for a separator. */
  dataDir: string
  /** Where it listens for clients, if not on 127.0.0.1. */
  address?: string
}

/** Settings of one node that is broker and controller at once. */
export function serverSettings(place: BrokerPlace): Record<string, string> {
  const { port, advertisedPort, controllerPort, dataDir, address = '127.0.0.1' } = place
  return {
    'process.roles': 'broker,controller',
    'node.id': '1',
    'controller.quorum.voters': `1@127.0.0.1:${controllerPort}`,
    listeners: `PLAINTEXT://${address}:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
    'advertised.listeners': `PLAINTEXT://127.0.0.1:${advertisedPort}`,
    'controller.listener.names': 'CONTROLLER',
    'log.dirs': dataDir,
    'auto.create.topics.enable': 'false',
    // Kafka refuses what asks for more replicas than there are nodes.
    'default.replication.factor': '1',
    'offsets.topic.replication.factor': '1',
    'offsets.topic.num.partitions': '4',
    'transaction.state.log.replication.factor': '1',
    'transaction.state.log.min.isr': '1',
    'share.coordinator.state.topic.replication.factor': '1',
    'share.coordinator.state.topic.min.isr': '1',
    'group.initial.rebalance.delay.ms': '0',
    // So that a dead worker's partitions need not wait for the default's 6 s, where short sessions are asked for.
    'group.min.session.timeout.ms': '1000',
    'num.network.threads': '1',
    'num.io.threads': '2',
    // The default, 128 MB, would be taken from the heap.
    'log.cleaner.dedupe.buffer.size': '4194304',
    // After kill -9 the broker waits for its own dead session to expire: 2 s instead of the default 9 s.
    'broker.session.timeout.ms': '2000',
    'broker.heartbeat.interval.ms': '500',
  }
}

/** The same as server.properties. */
export function serverProperties(place: BrokerPlace): string {
  return Object.entries(serverSettings(place))
    .map(([key, value]) => `${key}=${value}\n`)
    .join('')
}

/** How a broker's JVM runs. `fast` is for tests: it compiles less, so it starts sooner and runs slower. */
export function jvmFlags(fast: boolean): string[] {
  return [
    '-Xms64m',
    fast ? '-Xmx256m' : '-Xmx512m',
    '-XX:+UseSerialGC',
    '-XX:+ExitOnOutOfMemoryError',
    ...(fast ? ['-XX:TieredStopAtLevel=1'] : []),
  ]
}

/** meta.properties, which marks a log directory as formatted for one cluster. */
export function metaProperties(clusterId: string): string {
  return `version=1\ncluster.id=${clusterId}\nnode.id=1\ndirectory.id=${newId()}\n`
}

/** A random id in Kafka's form: 16 bytes, base64url. */
export function newId(): string {
  const id = randomBytes(16).toString('base64url')
  // Command lines would take a leading minus for an option.
  return id.startsWith('-') ? newId() : id
}
