import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { archiveClasses, EmbeddedKafka } from '../embedded/kafka.ts'
import { freePorts } from '../embedded/ports.ts'
import { EmbeddedPostgres } from '../embedded/postgres.ts'

/** What the integration suite runs on: the same services whatever provides them. */
export interface Backend {
  name: 'embedded'
  kafka: KafkaBackend
  postgres: PostgresBackend
  /** Ends the services and removes their data. */
  close(): Promise<void>
}

/** One service and what can be done to it. `start` waits until it answers and finds the data it had before. */
interface ServiceBackend {
  start(): Promise<void>
  stop(): Promise<unknown>
  /** As a crash would (SIGKILL). */
  kill(): Promise<void>
  /** All of its processes stand still (SIGSTOP): nothing answers and no connection breaks. */
  freeze(): Promise<void>
  thaw(): Promise<void>
}

interface KafkaBackend extends ServiceBackend {
  bootstrapServers: string
}

interface PostgresBackend extends ServiceBackend {
  /** Connection string of a superuser. */
  url: string
}

/** Starts Kafka and PostgreSQL on empty temporary data and free ports, which they keep over restarts. */
export async function startBackend(): Promise<Backend> {
  const [port = 0, controllerPort = 0, postgresPort = 0] = await freePorts(3)
  const dir = mkdtempSync(join(tmpdir(), 'firehose-test-'))
  // Run as root, PostgreSQL has another user, who must be able to come by here.
  chmodSync(dir, 0o711)
  const guard = spawnGuard(dir)
  const kafka = new EmbeddedKafka({
    dir: join(dir, 'kafka'),
    port,
    controllerPort,
    fast: true,
    pidFile: join(dir, 'kafka.pid'),
    onLog: console.error,
  })
  const postgres = new EmbeddedPostgres({
    dir: join(dir, 'postgres'),
    port: postgresPort,
    pidFile: join(dir, 'postgres.pid'),
    noInitSync: true,
    onLog: console.error,
  })
  const close = async () => {
    await Promise.all([kafka.kill(), postgres.kill()])
    rmSync(dir, { recursive: true, force: true })
    guard.stdin?.end()
  }
  try {
    await archiveClasses(await kafka.install(), { pidFile: join(dir, 'kafka-archive.pid') })
    await Promise.all([kafka.start(), postgres.start()])
  } catch (error) {
    await close()
    throw error
  }
  return { name: 'embedded', kafka, postgres, close }
}

/**
 * Ends the services and removes their data if this process dies without `close` (a crash, a time limit):
 * the guard's standard input ends with us.
 */
export function spawnGuard(dir: string): ChildProcess {
  const script =
    'read line; for f in "$0"/*.pid; do test -f "$f" && kill -9 "$(head -n 1 "$f")"; done; rm -rf "$0"'
  const guard = spawn('/bin/sh', ['-c', script, dir], { stdio: ['pipe', 'ignore', 'ignore'], detached: true })
  guard.unref()
  ;(guard.stdin as unknown as { unref?(): void } | null)?.unref?.()
  return guard
}
