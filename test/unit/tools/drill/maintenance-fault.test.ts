import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterEach, beforeEach, test } from 'node:test'
import {
  freezeRun,
  killRun,
  type MaintenanceRun,
  runAfter,
} from '../../../../tools/drill/maintenance-fault.ts'
import { stateOfProcess } from '../../../../tools/drill/part.ts'
import { until } from '../../../support/until.ts'

const DAY_MS = 86_400_000

let child: ChildProcess
let run: MaintenanceRun

beforeEach(() => {
  child = spawn(process.execPath, ['--eval', 'setInterval(() => {}, 1000)'], { stdio: 'ignore' })
  run = {
    kill: async () => child.kill('SIGKILL'),
    freeze: async () => {
      child.kill('SIGSTOP')
      await until('it is frozen or has ended', () => stateOfProcess(child.pid) !== 'running')
    },
    thaw: () => void child.kill('SIGCONT'),
    isFrozen: () => stateOfProcess(child.pid) === 'frozen',
    ended: once(child, 'exit').then(([code]) => ({ code: code as number | null, text: '' })),
  }
})
afterEach(() => child.kill('SIGKILL'))

test('each run is days later than the one before, and keeps all that was received since the drill began', () => {
  const sinceMs = Date.parse('2027-01-31T17:59:00Z')
  let newestMs = Date.parse('2027-02-15T00:00:00Z') // as migrate makes them: today and 14 days
  for (let n = 1; n <= 50; n++) {
    const { args, env } = runAfter(newestMs, sinceMs)
    const nowMs = Date.parse(args[1] ?? '')
    assert.deepEqual([args[0], args[2]], ['--now', '--yes'])
    assert.equal(nowMs - Number(env.EVENTS_RETENTION_DAYS) * DAY_MS, sinceMs, 'the cutoff')
    const endMs = Math.floor(nowMs / DAY_MS) * DAY_MS + 15 * DAY_MS
    assert.equal(endMs - newestMs, 3 * DAY_MS, 'leaves to make')
    newestMs = endMs
  }
})

test('a run that is killed, or frozen for a while, counts', async () => {
  assert.equal(await freezeRun(run, 50), 'was frozen for 50 ms')
  assert.equal(stateOfProcess(child.pid), 'running')
  assert.equal(await killRun(run), 'was killed')
})

test('a run that ended before it was interrupted does not count', async () => {
  child.kill('SIGTERM')
  const byItself = { ...run, ended: run.ended.then(() => ({ code: 0, text: '' })) }
  await byItself.ended
  assert.equal(await freezeRun(byItself, 50), undefined)
  assert.equal(await killRun(byItself), undefined)
})

test("a container's run that was killed counts by its exit code, one that failed does not", async () => {
  const container = (code: number): MaintenanceRun => ({ ...run, ended: Promise.resolve({ code, text: '' }) })
  assert.equal(await killRun(container(137)), 'was killed')
  assert.equal(await killRun(container(1)), undefined)
})
