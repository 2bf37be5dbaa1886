import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { kafkaGuards } from './kafka-guards.ts'

/*
 * Each patch in this folder removes one guard. Without the guard, a test of the suite must fail; otherwise its loss would go
 * unnoticed. With the guard, the same test must pass; otherwise its failure would prove nothing.
 */

const root = fileURLToPath(new URL('../..', import.meta.url))
const LEFT_OUT = new Set(['.git', '.firehose', 'node_modules'])

/** The guards: what is removed, and the test that must fail. */
const guards: { name: string; patch: string; file: string; title: string }[] = [
  {
    name: 'the fence',
    patch: 'fence.patch',
    file: 'test/faults/quick/fence.test.ts',
    title: 'I3: two sinks that read the same partition write each range once, without duplicates',
  },
  {
    name: 'the rule for two events with one id',
    patch: 'id-conflict.patch',
    file: 'test/integration/dead-letters.test.ts',
    title:
      'I2: the first of several events with one id stays; an identical one is a duplicate, a different one a dead letter',
  },
  {
    name: "the check of Kafka's acknowledgement",
    patch: 'ack-check.patch',
    file: 'test/integration/http-contract.test.ts',
    title: 'I1: records that kafkajs drops silently are not reported as accepted, with placeholders',
  },
  {
    name: 'the breaker',
    patch: 'breaker.patch',
    file: 'test/faults/quick/database-outage.test.ts',
    title: 'I5: an outage and its end are detected without any traffic',
  },
  {
    name: 'the bisection',
    patch: 'bisection.patch',
    file: 'test/integration/dead-letters.test.ts',
    title: "I6: a row that a user's constraint or trigger refuses becomes a dead letter that names the cause",
  },
  {
    name: 'the assigner',
    patch: 'assigner.patch',
    file: 'test/faults/sink-group.test.ts',
    title: 'I2: a consumer of another topic that joins later gets no partitions and is reported',
  },
  {
    name: 'the check of the group before joining it',
    patch: 'before-join.patch',
    file: 'test/faults/sink-group.test.ts',
    title:
      'I2: a sink of another topic does not join the group, reports why, and disturbs no member until the first has left',
  },
]

/** Those of kafka/ take minutes and have a command of their own. */
const chosen = process.env.GUARDS === 'kafka' ? kafkaGuards : guards

for (const { name, patch, file, title } of chosen) {
  test(`without ${name} a test fails`, async () => {
    const copy = copyOfProject()
    try {
      const intact = await run(copy, file, title)
      assert.ok(intact.includes(`✔ ${title}`), `it must pass with the guard:\n${intact}`)
      execFileSync('git', ['apply', fileURLToPath(new URL(patch, import.meta.url))], { cwd: copy })
      const broken = await run(copy, file, title)
      assert.ok(broken.includes(`✖ ${title}`), `it must fail without the guard:\n${broken}`)
      assert.ok(!broken.includes('while starting'), `the services must still start:\n${broken}`)
    } finally {
      rmSync(copy, { recursive: true, force: true })
    }
  })
}

/** Copies the sources and links node_modules. */
function copyOfProject(): string {
  const copy = mkdtempSync(join(tmpdir(), 'firehose-guard-'))
  const isSource = (path: string): boolean => !LEFT_OUT.has(path.slice(root.length).split('/')[0] ?? '')
  cpSync(root, copy, { recursive: true, filter: isSource })
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'))
  return copy
}

/** Runs one test. @returns the output of the test runner */
async function run(cwd: string, file: string, title: string): Promise<string> {
  const pattern = `^${RegExp.escape(title)}$`
  const args = ['--disable-warning=TimeoutNegativeWarning', '--test', '--test-reporter=spec']
  const { NODE_TEST_CONTEXT: _, ...env } = process.env // otherwise the runner would act as a child of this run
  const child = spawn(process.execPath, [...args, '--test-name-pattern', pattern, file], { cwd, env })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk: Buffer) => (output += chunk.toString()))
  await new Promise((resolve) => child.on('close', resolve))
  return output
}
