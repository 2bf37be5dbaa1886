import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { startersOf } from '../../../platform/npm.ts'
import { EndRequests, SAME_REQUEST_MS } from '../../../platform/signals.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))

/** EndRequests with a manual clock. */
function requestsAt(): {
  register: (ms: number) => string | undefined
  registerOnce: () => string | undefined
} {
  const timers: { ms: number; over: () => void }[] = []
  let now = 0
  const requests = new EndRequests((over) => timers.push({ ms: now + SAME_REQUEST_MS, over }))
  return {
    register: (ms) => {
      now = ms
      while ((timers[0]?.ms ?? Number.POSITIVE_INFINITY) <= now) timers.shift()?.over()
      return requests.register()
    },
    registerOnce: () => requests.registerOnce(),
  }
}

test('one Ctrl-C counts once, however often it is forwarded; a later one requests an immediate exit and also counts once', () => {
  const { register } = requestsAt()
  assert.deepEqual([0, 1, 40, 999, 1_000, 1_001, 1_999, 2_500].map(register), [
    'first',
    undefined,
    undefined,
    undefined,
    'again',
    undefined,
    undefined,
    'again',
  ])
})

test('the end of npm requests a graceful shutdown, and nothing if one was already requested', () => {
  const alone = requestsAt()
  assert.equal(alone.registerOnce(), 'first')
  assert.equal(alone.registerOnce(), undefined)
  assert.equal(alone.register(500), undefined)
  assert.equal(alone.register(1_500), 'again')
  const after = requestsAt()
  assert.equal(after.register(0), 'first')
  after.register(5_000)
  assert.equal(after.registerOnce(), undefined)
})

/** Prints the requests that it gets; SIGINT blocks its event loop for longer than SAME_REQUEST_MS. */
const PROGRAM = `
  import { writeSync } from 'node:fs'
  import { onEndRequest, SAME_REQUEST_MS } from './platform/signals.ts'
  onEndRequest({
    first: (cause) => {
      writeSync(1, 'first ' + cause)
      if (cause === 'SIGINT') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, SAME_REQUEST_MS + 200)
      setTimeout(() => process.exit(0), 100)
    },
    again: (cause) => process.exit(1),
  })
  setInterval(() => {}, 1_000)
  writeSync(1, 'listening ')`

/** Sends the signals, each after the program has printed something. @returns its output and its exit code */
async function saidTo(...signals: NodeJS.Signals[]): Promise<{ said: string; code: unknown }> {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', PROGRAM], { cwd: root })
  let said = ''
  child.stdout.on('data', (chunk) => {
    said += String(chunk)
    const name = signals.shift()
    if (name !== undefined) child.kill(name)
  })
  const [code] = await once(child, 'close')
  return { said, code }
}

test('a copy of a signal that waited for a blocked event loop still counts as a copy', async () => {
  assert.deepEqual(await saidTo('SIGINT', 'SIGTERM'), { said: 'listening first SIGINT', code: 0 })
})

test('without a terminal, as under nohup, SIGHUP is ignored', async () => {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', PROGRAM], { cwd: root })
  await once(child.stdout, 'data')
  child.kill('SIGHUP')
  child.kill('SIGTERM')
  const [said] = await once(child.stdout, 'data')
  assert.equal(String(said), 'first SIGTERM')
  assert.deepEqual(await once(child, 'exit'), [0, null])
})

test("only the process that npm started knows it, not that process's children", () => {
  assert.deepEqual(startersOf('12 7 7', 12), { parent: 7, npm: 7 })
  assert.deepEqual(startersOf('12 7 5', 12), { parent: 7, npm: 5 }, 'through the shell of npx')
  assert.equal(startersOf('12 7 7', 13), undefined)
  assert.equal(startersOf(undefined, 12), undefined)
  assert.equal(startersOf('', 0), undefined)
})

test('only platform/signals.ts listens for signals', () => {
  // Listeners on `process` must name their event literally: a variable could hold the name of a signal.
  const listens = /\bprocess\s*\.\s*(?:on|once|addListener|prepend(?:Once)?Listener)\(\s*(?!'(?!SIG))/
  const source = /\.(?:[cm]?[jt]s)$/
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' }).filter(
    (file) => source.test(file) && !/^(?:node_modules|\.git|\.firehose)\//.test(file),
  )
  assert.ok(files.length > 300)
  assert.deepEqual(
    files.filter((file) => listens.test(readFileSync(join(root, file), 'utf8'))),
    ['platform/signals.ts'],
  )
})

test('every npm script execs its command, so that signals to npm reach it', () => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    scripts: Record<string, string>
  }
  for (const [name, script] of Object.entries(scripts)) {
    const isOne = !script.replaceAll(/'[^']*'/g, '').includes('&&')
    assert.equal(script.startsWith('exec '), isOne, `${name}: ${script}`)
  }
  for (const script of ['firehose', 'with-node24.sh'])
    assert.equal(statSync(join(root, script)).mode & 0o111, 0o111, script)
})
