import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { suite, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { signal } from '../../embedded/process-info.ts'
import { spawnGuard } from '../../tools/stack/guard.ts'
import { copyOfProject } from '../support/project-copy.ts'
import { kafkaGuards } from './kafka-guards.ts'
import { mainGuards } from './main-guards.ts'

/*
 * Each patch in this folder removes one guard. Without the guard, a test of the suite must fail; otherwise its loss would go
 * unnoticed. With the guard, the same test must pass; otherwise its failure would prove nothing.
 */

/** The limit of a run with the guard, which may have to install Kafka first. */
const INTACT_LIMIT_MS = 600_000
/** The limit of a test without its guard: it fails then. With its guard, each takes a fraction of this. */
const TEST_LIMIT_MS = 60_000
/** The limit of a run without the guard: the start, the test, and the end, which may hang just as well. */
const BROKEN_LIMIT_MS = TEST_LIMIT_MS + 40_000
/** How long a test without its guard waits for what must come: this, or as long as all of it took with the guard. */
const BROKEN_WAIT_MS = 10_000

/** Those of kafka/ take minutes and have a command of their own. */
const chosen = process.env.GUARDS === 'kafka' ? kafkaGuards : mainGuards

// Two at a time: without its guard, a test mostly waits.
suite('guards', { concurrency: 2 }, () => {
  for (const { name, patch, file, title } of chosen) {
    test(`without ${name} a test fails`, async () => {
      const copy = copyOfProject()
      const guard = spawnGuard(copy)
      try {
        const intact = await run(copy, file, title, { limitMs: INTACT_LIMIT_MS })
        assert.ok(intact.output.includes(`✔ ${title}`), `it must pass with the guard:\n${intact.output}`)
        assert.ok(!intact.killed, `it must end with the guard:\n${intact.output}`)
        execFileSync('git', ['apply', fileURLToPath(new URL(patch, import.meta.url))], { cwd: copy })
        const broken = await run(copy, file, title, {
          limitMs: BROKEN_LIMIT_MS,
          testLimitMs: TEST_LIMIT_MS,
          waitMs: Math.max(BROKEN_WAIT_MS, intact.tookMs),
        })
        const passed = broken.output.includes(`✔ ${title}`)
        const failed = broken.output.includes(`✖ ${title}`) || (broken.killed && !passed)
        assert.ok(failed, `it must fail without the guard:\n${broken.output}`)
        assert.ok(
          !broken.output.includes('while starting'),
          `the services must still start:\n${broken.output}`,
        )
      } finally {
        rmSync(copy, { recursive: true, force: true })
        guard.stdin?.end()
      }
    })
  }
})

interface Limits {
  /** After this time, the run is killed. */
  limitMs: number
  /** After this time, the test fails. */
  testLimitMs?: number
  /** How long until() waits. */
  waitMs?: number
}

interface Run {
  /** Of the test runner. */
  output: string
  /** True if it did not end by itself. */
  killed: boolean
  tookMs: number
}

/**
 * Runs one test in its own process group. Processes that leave the group (Kafka, PostgreSQL, our services) are ended by
 * the guards of their directories when the process of the test dies.
 */
async function run(
  cwd: string,
  file: string,
  title: string,
  { limitMs, testLimitMs, waitMs }: Limits,
): Promise<Run> {
  const args = ['--disable-warning=TimeoutNegativeWarning', '--test-reporter=spec']
  if (testLimitMs !== undefined) args.push(`--test-timeout=${testLimitMs}`)
  args.push(`--test-name-pattern=^${RegExp.escape(title)}$`, file)
  const { NODE_TEST_CONTEXT: _, ...env } = process.env // otherwise the child would report to this run's runner
  if (waitMs !== undefined) env.UNTIL_LIMIT_MS = String(Math.round(waitMs))
  const began = performance.now()
  // Without --test, which would start another process for the file.
  const child = spawn(process.execPath, args, { cwd, env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  const group = -(child.pid ?? assert.fail('Node could not be started'))
  const pidFile = join(cwd, 'test.pid') // if this process dies, the guard of the copy kills the group
  writeFileSync(pidFile, `${group}\n`)
  let output = ''
  const streams = [child.stdout, child.stderr]
  for (const stream of streams) stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
  let killed = false
  const timer = setTimeout(() => {
    killed = true
    signal(group, 'SIGKILL')
    for (const stream of streams) stream.destroy() // another process may hold it open
  }, limitMs)
  await new Promise((resolve) => child.on('close', resolve))
  clearTimeout(timer)
  rmSync(pidFile)
  return { output, killed, tookMs: performance.now() - began }
}
