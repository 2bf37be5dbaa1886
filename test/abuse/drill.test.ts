import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

/* The drill as a user runs it. That it tells what is wrong: test/unit/proof/drill/record.test.ts. */

const dir = mkdtempSync(join(tmpdir(), 'firehose-drill-test-'))
after(() => rmSync(dir, { recursive: true }))

test('a drill: faults of a seed are done, observed and compared; a later run goes on, and reports the whole', async () => {
  const state = ['--state', join(dir, 'state.jsonl'), '--seed', '7']
  const first = await drill(...state, '--faults', '2')
  assert.equal(first.code, 0, first.output)
  assert.match(first.output, /\n7: 1\/2 .*\n7: 2\/2 .*\n {3}compared: .*0 lost, 0 twice/)
  assert.match(first.output, /\nOK: 0 lost, 0 twice over 2 observed faults \(of 2; seeds 7; [1-9]\d* ack/)
  const second = await drill(...state, '--faults', '3')
  assert.equal(second.code, 0, second.output)
  assert.doesNotMatch(second.output, /\n7: 2\/3/)
  assert.match(second.output, /\n7: 3\/3 .*[^]*\nOK: 0 lost, 0 twice over 3 observed faults/)
})

test('a drill that cannot run says why in one sentence', async () => {
  const { code, output } = await drill('--seed', 'x')
  assert.equal(code, 1)
  assert.equal(output, '--seed must be a number or a range such as 1-4, not "x".\n')
})

test('Ctrl-C ends a drill with 130', async () => {
  const running = drill('--seed', '7', '--faults', '100')
  await running.said('7:   1/100')
  running.child.kill('SIGINT')
  assert.equal((await running).code, 130)
})

/** Runs it without npm, which would add lines of its own. */
function drill(...args: string[]) {
  const flags = ['--disable-warning=TimeoutNegativeWarning', 'cli/drill.ts']
  const child = spawn(process.execPath, [...flags, ...args])
  let output = ''
  const heard: { text: string; resolve: () => void }[] = []
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString()
      for (const { text, resolve } of heard) if (output.includes(text)) resolve()
    })
  }
  const ended = new Promise<{ code: number | null; output: string }>((resolve) => {
    child.on('close', (code) => resolve({ code, output }))
  })
  const said = async (text: string) =>
    await Promise.race([ended, new Promise<void>((resolve) => heard.push({ text, resolve }))])
  return Object.assign(ended, { child, said })
}
