// The environment of a command on the host, completed as docker compose completes its own.
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseEnv } from 'node:util'
import { dataDirSetting } from '../platform/data-dir.ts'
import { isServiceLink } from '../platform/variable.ts'

const root = fileURLToPath(new URL('..', import.meta.url))

/**
 * Adds the file .env beside `firehose` to the environment of this process, and the names that docker-compose.yml has for
 * some settings. Says on standard error which variables of the file it cannot use.
 *
 * @param command the name of the command: `start` has a Kafka of its own
 */
export function completeEnvironment(command: string | undefined): void {
  const { added, ignored } = additions(process.env, textOf(join(root, '.env')), command !== 'start')
  Object.assign(process.env, added)
  // The PostgreSQL of npm start has a password of its own.
  if (startRuns(resolve(root, dataDirSetting.parse(process.env.FIREHOSE_DIR || undefined))))
    delete process.env.POSTGRES_PASSWORD
  for (const name of ignored) {
    process.stderr.write(
      `${name} in .env is ignored, because only docker compose replaces what follows a $: put the value in 'single quotes'.\n`,
    )
  }
}

/**
 * What `file`, the text of .env, and the names in docker-compose.yml add to the environment. A variable that is there
 * already stays, even if it is empty. Pure.
 *
 * @param usesKafka whether KAFKA_PORT says where Kafka is, and not where to start one
 */
export function additions(
  env: NodeJS.ProcessEnv,
  file: string,
  usesKafka = true,
): { added: NodeJS.ProcessEnv; ignored: string[] } {
  const added: NodeJS.ProcessEnv = {}
  const ignored: string[] = []
  for (const [name, value] of Object.entries(parseEnv(file))) {
    if (env[name] !== undefined || !/^\w+$/.test(name)) continue
    if (hasReplacement(file, name)) ignored.push(name)
    else added[name] = value
  }
  const alias = (name: string, composeName: string, valueOf = (port: string) => port): void => {
    const port = env[composeName] ?? added[composeName]
    if (port && !isServiceLink(composeName, port) && !(env[name] ?? added[name])) added[name] = valueOf(port)
  }
  alias('PORT', 'API_PORT', (ports) => ports.replace(/-.*/, '')) // of two APIs the first: 8000-8001
  alias('PG_PORT', 'POSTGRES_PORT')
  if (usesKafka) alias('KAFKA_BOOTSTRAP_SERVERS', 'KAFKA_PORT', (port) => `127.0.0.1:${port}`)
  return { added, ignored }
}

/** Whether the value of `name` has a $ outside single quotes, after which docker compose inserts another variable. */
function hasReplacement(file: string, name: string): boolean {
  const line = new RegExp(`^\\s*(?:export\\s+)?${name}\\s*=\\s*(.*)$`, 'm').exec(file)?.[1] ?? ''
  return !line.startsWith("'") && line.replace(/\s#.*/, '').includes('$')
}

/** Whether `npm start` runs in this directory. */
function startRuns(dir: string): boolean {
  try {
    return process.kill(Number.parseInt(textOf(join(dir, 'launcher.pid')), 10), 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM' // another user's
  }
}

/** The text of a file; empty if it cannot be read. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
