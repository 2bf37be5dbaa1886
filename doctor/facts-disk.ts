import { readFile, statfs } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { KafkaFacts } from './facts-kafka.ts'
import type { PostgresFacts } from './facts-postgres.ts'

/** The disk of one of the services, if it is one of this machine's. */
export interface DiskFacts {
  of: 'Kafka' | 'PostgreSQL'
  /** Where the service says that its data are; null when it does not tell. */
  directory: string | null
  /** Undefined when the data are not here, or not readable. */
  space: { totalBytes: number; freeBytes: number } | undefined
}

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** A directory of the same path on this machine counts only if its own files say that it is this very server's. */
export async function postgresDisk({ server, systemIdentifier }: PostgresFacts): Promise<DiskFacts> {
  const { data_directory } = server
  const id = systemIdentifier.ok ? systemIdentifier.value.id : undefined
  const isOurs = async (directory: string): Promise<boolean> => {
    // Its first field is the system identifier, in the server's byte order (src/include/catalog/pg_control.h).
    const control = await readFile(join(directory, 'global', 'pg_control'))
    return control.readBigUInt64LE(0).toString() === id
  }
  return { of: 'PostgreSQL', directory: data_directory, space: await spaceOf(data_directory, isOurs) }
}

/** @param startDir where `npm start` keeps its data: its Kafka names a directory relative to that */
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
    return undefined // not on this machine, or not for our eyes
  }
}
