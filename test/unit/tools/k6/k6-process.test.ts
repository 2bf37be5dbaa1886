import assert from 'node:assert/strict'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { findK6, type K6, startK6 } from '../../../../tools/k6/k6-process.ts'
import { commandLines } from '../../../support/command-lines.ts'

/* How k6 is started: a program in its place shows what it was given. */

const dir = mkdtempSync(join(tmpdir(), 'firehose-k6-process-'))
after(() => rmSync(dir, { recursive: true }))

const KEY = 'fh_server_notonacommandline'
/** Prints its arguments and the key, and runs until it is interrupted. */
const SHOW = `#!/bin/sh
case "$1" in version) echo 'k6 v1.2.3'; exit ;; esac
printf '%s\\n' "$@" "API_KEY=$API_KEY"
echo started >&2
while :; do sleep 0.1; done
`

function program(name: string): string {
  const path = join(dir, name)
  writeFileSync(path, SHOW)
  chmodSync(path, 0o755)
  return path
}

/** @returns the lines that the program printed, and all command lines while it ran */
async function shownBy(k6: K6, key: string | undefined): Promise<{ lines: string[]; processes: string }> {
  const lines: string[] = []
  const started = Promise.withResolvers<void>()
  const running = startK6(k6, {
    script: 'event',
    settings: { RATE: '7' },
    key,
    onOut: (line) => lines.push(line),
    onErr: () => started.resolve(),
  })
  await started.promise
  const processes = commandLines()
  running.interrupt()
  await running.done
  return { lines, processes }
}

test('k6 gets the key in its environment, and the list of processes does not have it', async () => {
  const k6 = findK6({ K6: program('k6') })
  const { lines, processes } = await shownBy(k6, KEY)
  assert.ok(lines.includes(`API_KEY=${KEY}`))
  assert.ok(lines.includes('--include-system-env-vars') && lines.includes('RATE=7'))
  assert.ok(processes.includes(`${join(dir, 'k6')} run`))
  assert.ok(!processes.includes(KEY))
  assert.deepEqual((await shownBy(k6, undefined)).lines.at(-1), `API_KEY=${process.env.API_KEY ?? ''}`)
})

test('the container of k6 is told which variable has the key, not its value', async (t) => {
  program('docker')
  const { PATH } = process.env
  t.after(() => (process.env.PATH = PATH))
  process.env.PATH = `${dir}:${PATH}`
  const { lines, processes } = await shownBy(findK6({ K6_IMAGE: 'some/k6', PATH: '/nowhere' }), KEY)
  const at = lines.indexOf('API_KEY')
  assert.equal(lines[at - 1], '--env')
  assert.ok(at < lines.indexOf('some/k6'))
  assert.equal(lines.at(-1), `API_KEY=${KEY}`)
  assert.ok(processes.includes(`${join(dir, 'docker')} run`))
  assert.ok(!processes.includes(KEY))
})
