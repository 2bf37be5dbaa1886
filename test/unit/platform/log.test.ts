import assert from 'node:assert/strict'
import { spawn, type StdioOptions } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, existsSync, openSync } from 'node:fs'
import { test } from 'node:test'

const MODULE = new URL('../../../platform/log.ts', import.meta.url).href
/** Logs more than a pipe holds, in two turns of the event loop, and exits with 7. */
const PROGRAM = `
const { createLogger } = await import('${MODULE}')
const logger = createLogger('test', 'info')
for (let n = 0; n < 5_000; n++) logger.info({ n }, 'a line')
await new Promise((resolve) => setImmediate(resolve))
for (let n = 0; n < 5_000; n++) logger.info({ n }, 'a line')
process.exit(7)
`

/** The exit code; null if the process had to be killed. */
async function exitOf(stdout: 'pipe' | number, onStart: (output: NodeJS.ReadableStream | null) => void) {
  const stdio: StdioOptions = ['ignore', stdout, 'inherit']
  const child = spawn(process.execPath, ['--input-type=module', '-e', PROGRAM], { stdio })
  onStart(child.stdout)
  const limit = setTimeout(() => child.kill('SIGKILL'), 20_000)
  const [code] = (await once(child, 'close')) as [number | null]
  clearTimeout(limit)
  return code
}

test('a log without a reader neither ends the process nor keeps it from exiting', async () => {
  assert.equal(await exitOf('pipe', (output) => (output as unknown as { destroy: () => void }).destroy()), 7)
})

test('a log whose reader does not read neither ends the process nor keeps it from exiting', async () => {
  assert.equal(await exitOf('pipe', () => {}), 7)
})

const skip = existsSync('/dev/full') ? false : 'this system has no /dev/full'
test('a log on a full disk neither ends the process nor keeps it from exiting', { skip }, async () => {
  const full = openSync('/dev/full', 'w')
  try {
    assert.equal(await exitOf(full, () => {}), 7)
  } finally {
    closeSync(full)
  }
})

test('lines logged before an exit are written', async () => {
  let text = ''
  const code = await exitOf('pipe', (output) => output?.on('data', (chunk) => (text += String(chunk))))
  assert.equal(code, 7)
  const lines = text.trimEnd().split('\n')
  // What a pipe holds, if nothing is read before the exit: 64 KiB, or a page if the user has many pipes (pipe(7)).
  assert.ok(lines.length > 30, `${lines.length} lines`)
  assert.deepEqual(JSON.parse(lines[0] ?? '').n, 0)
})
