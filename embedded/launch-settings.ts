import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { dataDirSetting } from '../platform/data-dir.ts'
import { integer, readSettings } from '../platform/env.ts'
import { isPortFree } from './ports.ts'
import { UserError } from './user-error.ts'

export const launchSettings = {
  PORT: integer(8000, 1, 65_535, 'Port of the API'),
  SINK_PORT: integer(8001, 1, 65_535, "Port of the sink's health and metrics"),
  KAFKA_PORT: integer(19_092, 1, 65_534, 'Port of the embedded Kafka; its controller uses the next one'),
  PG_PORT: integer(15_432, 1, 65_535, 'Port of the embedded PostgreSQL'),
  FIREHOSE_DIR: dataDirSetting,
}

export interface LaunchConfig {
  dir: string
  apiPort: number
  sinkPort: number
  kafkaPort: number
  postgresPort: number
}

const root = fileURLToPath(new URL('..', import.meta.url))

/** Reads the launcher's settings. @throws {ConfigError} listing all invalid settings */
export function launchConfig(env: NodeJS.ProcessEnv): LaunchConfig {
  const values = readSettings(launchSettings, env)
  return {
    dir: resolve(root, values.FIREHOSE_DIR),
    apiPort: values.PORT,
    sinkPort: values.SINK_PORT,
    kafkaPort: values.KAFKA_PORT,
    postgresPort: values.PG_PORT,
  }
}

/** @throws {UserError} naming the port in use and the variable that changes it */
export async function checkPorts(config: LaunchConfig): Promise<void> {
  const ports: [port: number, use: string, variable: string][] = [
    [config.apiPort, 'the API', 'PORT'],
    [config.sinkPort, 'the sink', 'SINK_PORT'],
    [config.kafkaPort, 'Kafka', 'KAFKA_PORT'],
    [config.kafkaPort + 1, "Kafka's controller", 'KAFKA_PORT (the controller uses the next port)'],
    [config.postgresPort, 'PostgreSQL', 'PG_PORT'],
  ]
  const seen = new Set<number>()
  for (const [port, use, variable] of ports) {
    if (seen.has(port))
      throw new UserError(`Port ${port} is used twice, the second time for ${use}: change ${variable}.`)
    seen.add(port)
    if (await isPortFree(port)) continue
    throw new UserError(
      `Port ${port} for ${use} is in use: stop the process that listens on it, or set ${variable}.`,
    )
  }
}

/**
 * The environment for our services: the user's, with the addresses of the embedded Kafka and PostgreSQL.
 *
 * @returns `ignored` lists the variables left out because they point elsewhere (PG*, TLS or SASL for Kafka)
 */
export function serviceEnv(
  env: NodeJS.ProcessEnv,
  config: LaunchConfig,
  bootstrapServers: string,
  databaseUrl: string,
): { env: NodeJS.ProcessEnv; ignored: string[] } {
  const elsewhere = /^(DATABASE_URL|KAFKA_BOOTSTRAP_SERVERS|KAFKA_(SSL|SASL)_?.*|PG(?!_PORT)[A-Z]+)$/
  const ignored = Object.keys(env).filter((name) => elsewhere.test(name) && env[name])
  const kept = Object.fromEntries(Object.entries(env).filter(([name]) => !elsewhere.test(name)))
  return {
    ignored,
    env: {
      ...kept,
      KAFKA_BOOTSTRAP_SERVERS: bootstrapServers,
      DATABASE_URL: databaseUrl,
      PORT: String(config.apiPort),
      SINK_PORT: String(config.sinkPort),
    },
  }
}

/** The log file of a service. */
export function logFile(config: LaunchConfig, service: string): string {
  return join(config.dir, 'logs', `${service}.log`)
}

/** The pid file of a service, by which a later launcher finds its process. */
export function pidFile(config: LaunchConfig, service: string): string {
  return join(config.dir, 'run', `${service}.pid`)
}
