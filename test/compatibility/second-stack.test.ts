import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { once } from 'node:events'
import { readPidFile } from '../../embedded/child.ts'
import { freePorts } from '../../embedded/ports.ts'
import { ROOT, runLine } from '../support/run-firehose.ts'
import { until } from '../support/until.ts'

/* `npm start` beside another stack: the commands that it prints ask this one, wherever other variables lead. */

const dir = mkdtempSync(join(tmpdir(), 'firehose-second-'))
chmodSync(dir, 0o711) // under root, PostgreSQL runs as another user
after(() => rmSync(dir, { recursive: true, force: true }))

test('the hints of npm start carry the variables of its stack, and undo those that lead elsewhere', async (t) => {
  const [api, ops, sink, maintain, kafka, postgres] = (await freePorts(6)).map(String)
  const elsewhere = { PGUSER: 'nobody', PGDATABASE: 'nothing', KAFKA_BOOTSTRAP_SERVERS: '127.0.0.1:1' }
  const ports = {
    PORT: api,
    OPS_PORT: ops,
    SINK_PORT: sink,
    MAINTAIN_PORT: maintain,
    KAFKA_PORT: kafka,
    PG_PORT: postgres,
  }
  const env = { ...ports, FIREHOSE_DIR: dir }
  const start = spawn(join(ROOT, 'firehose'), ['start'], {
    cwd: ROOT,
    env: { ...process.env, ...elsewhere, ...env },
  })
  t.after(() => start.kill('SIGKILL'))
  let output = ''
  for (const stream of [start.stdout, start.stderr]) stream.on('data', (chunk) => (output += String(chunk)))
  await until(
    'ready',
    () => output.includes('everything; the data') || (start.exitCode !== null && assert.fail(output)),
    90_000,
  )
  assert.match(output, /^Ignored: .*PGUSER/m)
  const hint = (title: string): string => new RegExp(`^${title}: +(.*)$`, 'm').exec(output)?.[1] ?? ''
  assert.equal(hint('Database'), `postgresql://firehose:firehose@127.0.0.1:${postgres}/firehose`)

  assert.equal(hint('Documentation'), `http://127.0.0.1:${ops}/docs`)
  assert.equal((await fetch(hint('Documentation'))).status, 200)
  const sent = await runLine(hint('Send an event'), elsewhere)
  assert.match(sent.out, /202 Accepted/)
  for (const exported of [{}, elsewhere]) {
    const rows = await until('the row', async () => {
      const asked = await runLine(hint('See the rows'), exported)
      assert.equal(asked.code, 0, asked.err)
      return /\(1 row\)/.test(asked.out) ? asked.out : undefined
    })
    assert.match(rows, /"page": "\/"/)
    const checked = await runLine(
      `${hint('Check it')} --check api --check sink --check group --check postgres`,
      exported,
    )
    assert.match(checked.out, /^FIREHOSE OK/, checked.out + checked.err)
  }
  await until('maintenance has run', async () => {
    const answer = await fetch(`http://127.0.0.1:${maintain}/health`).catch(() => undefined)
    return /"outcome":"done",.*"problems":\[\]/.test((await answer?.text()) ?? '')
  })
  assert.match(output, new RegExp(`^ {2}Maintenance http://127\\.0\\.0\\.1:${maintain}$`, 'm'))

  // It is started again when it ends, and its log stays.
  const first = readPidFile(join(dir, 'run', 'maintain.pid'))
  process.kill(first?.pid ?? 0, 'SIGKILL')
  await until('it is back', () => output.includes('Maintenance is back'))
  const log = readFileSync(join(dir, 'logs', 'maintain.log'), 'utf8')
  assert.equal(log.match(/"msg":"maintain started"/g)?.length, 2)
  start.kill('SIGTERM')
  assert.deepEqual(await once(start, 'close'), [0, null])
})
