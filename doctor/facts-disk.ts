import { readFile, statfs } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { KafkaFacts } from './facts-kafka.ts'
import type { PostgresFacts } from './facts-postgres.ts'

/** The disk that holds the data of Kafka or PostgreSQL. */
export interface DiskFacts {
  of: 'Kafka' | 'PostgreSQL'
  /** The data directory as the service reports it; null if it does not. */
  directory: string | null
  /** Undefined if the data is not on this machine or not readable. */
  space: { totalBytes: number; freeBytes: number } | undefined
}

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** A local directory with this path counts only if its files show that it belongs to this server. */
export async function postgresDisk({ server, systemIdentifier }: PostgresFacts): Promise<DiskFacts> {
  const { data_directory } = server
  const id = systemIdentifier.ok ? systemIdentifier.value.id : undefined
  const isOurs = async (directory: string): Promise<boolean> => {
    // The first field is the system identifier, in the server's byte order (src/include/catalog/pg_control.h).
    const control = await readFile(join(directory, 'global', 'pg_control'))
    return control.readBigUInt64LE(0).toString() === id
  }
  return { of: 'PostgreSQL', directory: data_directory, space: await spaceOf(data_directory, isOurs) }
}

/** @param startDir the data directory of `npm start`, whose Kafka reports a path relative to it */
export async function kafkaDisk(kafka: KafkaFacts, startDir: string): Promise<DiskFacts> {
  const configs = kafka.brokerConfigs.ok ? kafka.brokerConfigs.value : {}
  const directory = (configs['log.dirs'] || configs['log.dir'])?.split(',')[0] ?? null
  const isOurs = async (candidate: string): Promise<boolean> => {
    const properties = await readFile(join(candidate, 'meta.properties'), 'utf8')
    return properties.split(/\r?\n/).includes(`cluster.id=${kafka.clusterId}`)
  }
  const candidate = directory === null ? null : resolve(ROOT, startDir, 'kafka', directory)
  return { of: 'Kafka', directory, space: await spaceOf(candidate, isOurs) }
}

async function spaceOf(
  directory: string | null,
  isOurs: (directory: string) => Promise<boolean>,
): Promise<DiskFacts['space']> {
  try {
    if (directory === null || !(await isOurs(directory))) return undefined
    const { bsize, blocks, bavail } = await statfs(directory)
    return { totalBytes: bsize * blocks, freeBytes: bsize * bavail }
  } catch {
    return undefined // not on this machine, or no permission
  }
}
