import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { readMaintainConfig } from '../maintenance/config.ts'
import { dataDirSetting } from '../platform/data-dir.ts'
import { collectProblems, ConfigError, integer, optionalInteger, parseSettings } from '../platform/env.ts'
import { shellWord } from '../platform/shell-word.ts'
import { readApiConfig } from '../producer-api/config.ts'
import { readSinkConfig } from '../sink-worker/config.ts'
import { isPortFree } from './ports.ts'
import { UserError } from './user-error.ts'

export const launchSettings = {
  PORT: integer(8000, 1, 65_535, 'Port of the API'),
  OPS_PORT: optionalInteger(1, 65_535, "Port of the API's health and metrics; by default PORT"),
  SINK_PORT: integer(8001, 1, 65_535, "Port of the sink's health and metrics"),
  MAINTAIN_PORT: integer(8003, 1, 65_535, 'Port of the health and metrics of maintenance'),
  KAFKA_PORT: integer(19_092, 1, 65_534, 'Port of the embedded Kafka; its controller uses the next one'),
  PG_PORT: integer(15_432, 1, 65_535, 'Port of the embedded PostgreSQL'),
  FIREHOSE_DIR: dataDirSetting,
}

export interface LaunchConfig {
  dir: string
  apiPort: number
  /** Undefined: the API serves its health and metrics on `apiPort`. */
  opsPort: number | undefined
  sinkPort: number
  maintainPort: number
  kafkaPort: number
  postgresPort: number
  /** Whether clients have to show a key or a token. */
  needsKey: boolean
  /** Variables that are ignored, a sentence each. */
  warnings: string[]
}

const root = fileURLToPath(new URL('..', import.meta.url))

/**
 * Reads the launcher's settings, and checks those of our services, which run with the same environment.
 *
 * @throws {ConfigError} listing every mistake
 */
export function launchConfig(env: NodeJS.ProcessEnv): LaunchConfig {
  const { values, problems, warnings } = parseSettings(launchSettings, env)
  const config = {
    dir: resolve(root, values.FIREHOSE_DIR),
    apiPort: values.PORT,
    opsPort: values.OPS_PORT,
    sinkPort: values.SINK_PORT,
    maintainPort: values.MAINTAIN_PORT,
    kafkaPort: values.KAFKA_PORT,
    postgresPort: values.PG_PORT,
    needsKey: ['API_KEYS_FILE', 'JWT_JWKS_URL', 'JWT_JWKS_FILE'].some((name) => env[name]),
    warnings,
  }
  const users = new Map<number, string>()
  for (const [port, , variable] of problems.length === 0 ? portsOf(config) : []) {
    const other = users.get(port)
    if (other === undefined) users.set(port, variable)
    else problems.push(`${other} and ${variable} set the same port ${port}`)
  }
  const ofServices = serviceEnv(env, config, '127.0.0.1:1', 'postgresql://127.0.0.1/firehose').env
  collectProblems(problems, () => readApiConfig(ofServices))
  collectProblems(problems, () => readSinkConfig(ofServices))
  collectProblems(problems, () => readMaintainConfig(ofServices))
  if (problems.length > 0) throw new ConfigError(problems)
  return config
}

type Port = [port: number, use: string, variable: string]

/** The ports, what uses them, and the variables that set them. */
function portsOf(config: LaunchConfig): Port[] {
  const { opsPort } = config
  const ops: Port[] = opsPort === undefined ? [] : [[opsPort, "the API's health and metrics", 'OPS_PORT']]
  return [
    [config.apiPort, 'the API', 'PORT'],
    ...ops,
    [config.sinkPort, 'the sink', 'SINK_PORT'],
    [config.maintainPort, 'maintenance', 'MAINTAIN_PORT'],
    [config.kafkaPort, 'Kafka', 'KAFKA_PORT'],
    [config.kafkaPort + 1, "Kafka's controller", 'KAFKA_PORT (its controller uses the next port)'],
    [config.postgresPort, 'PostgreSQL', 'PG_PORT'],
  ]
}

/** @throws {UserError} naming the port in use and the variable that changes it */
export async function checkPorts(config: LaunchConfig): Promise<void> {
  for (const [port, use, variable] of portsOf(config)) {
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
  const elsewhere =
    /^(DATABASE_URL(_FILE)?|KAFKA_BOOTSTRAP_SERVERS|KAFKA_(SSL|SASL)_?.*|PG(?!_PORT)[A-Z]+(_FILE)?)$/
  const ignored = Object.keys(env).filter((name) => elsewhere.test(name) && env[name])
  const kept = Object.fromEntries(Object.entries(env).filter(([name]) => !elsewhere.test(name)))
  return {
    ignored,
    env: {
      ...kept,
      KAFKA_BOOTSTRAP_SERVERS: bootstrapServers,
      DATABASE_URL: databaseUrl,
      PORT: String(config.apiPort),
      OPS_PORT: config.opsPort?.toString(),
      SINK_PORT: String(config.sinkPort),
      MAINTAIN_PORT: String(config.maintainPort),
    },
  }
}

/**
 * The variables with which a command in another terminal, or after an export of other addresses, asks this stack: as a
 * prefix of its command line, empty for the defaults. Pure.
 *
 * @param ignored the variables that serviceEnv() left out
 */
export function commandPrefix(config: LaunchConfig, ignored: readonly string[]): string {
  const given = {
    PORT: config.apiPort,
    OPS_PORT: config.opsPort,
    SINK_PORT: config.sinkPort,
    MAINTAIN_PORT: config.maintainPort,
    KAFKA_PORT: config.kafkaPort,
    PG_PORT: config.postgresPort,
    FIREHOSE_DIR: config.dir,
  }
  const words = ignored.map((name) => `${name}=`)
  for (const [name, value] of Object.entries(given)) {
    const { parse } = launchSettings[name as keyof typeof given]
    const usual = name === 'FIREHOSE_DIR' ? resolve(root, String(parse(undefined))) : parse(undefined)
    if (value !== usual) words.push(`${name}=${shellWord(String(value))}`)
  }
  return words.map((word) => `${word} `).join('')
}

/** The log file of a service. */
export function logFile(config: LaunchConfig, service: string): string {
  return join(config.dir, 'logs', `${service}.log`)
}

/** The pid file of a service, by which a later launcher finds its process. */
export function pidFile(config: LaunchConfig, service: string): string {
  return join(config.dir, 'run', `${service}.pid`)
}
