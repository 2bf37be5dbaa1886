import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { createLogger } from '../../../../platform/log.ts'
import { createSinkMetrics } from '../../../../sink-worker/metrics.ts'
import { SinkState } from '../../../../sink-worker/outage/sink-state.ts'
import { afterFailure, type Outage, TRANSITIONS } from '../../../../sink-worker/outage/transitions.ts'

const because = (reason: string) => ({ reason, needsPerson: false })

/** A state that has read its positions. */
function runningState(hasStopped = () => false): SinkState {
  const { counters } = createSinkMetrics(() => assert.fail('not read'))
  const stopSignal = new AbortController().signal
  const state = new SinkState({ logger: createLogger('test', 'silent'), counters, stopSignal, hasStopped })
  state.on('positions_read')
  return state
}

test('a failure pauses, a probe lets batches flow again, and another failure resumes the pause', () => {
  const paused = afterFailure(undefined, because('refused'), 1_000)
  assert.deepEqual(paused, { reason: 'refused', needsPerson: false, sinceMs: 1_000, attempts: 0 })
  const again = afterFailure(paused, because('starting up'), 1_200)
  assert.deepEqual(again, { reason: 'starting up', needsPerson: false, sinceMs: 1_000, attempts: 1 })

  const state = runningState()
  state.onFailure(new Error('refused'))
  assert.equal(state.kind, 'paused')
  const { sinceMs } = state.outage ?? assert.fail()
  state.on('positions_read')
  assert.equal(state.kind, 'probing')
  assert.equal(state.outage?.reason, 'refused')
  state.onFailure(new Error('disk full'))
  assert.equal(state.kind, 'paused')
  assert.deepEqual(state.outage, { reason: 'disk full', needsPerson: false, sinceMs, attempts: 1 })
  state.on('positions_read')
  state.on('proved')
  assert.equal(state.kind, 'running')
  assert.equal(state.outage, undefined)
})

test('a probe changes nothing while the breaker is not paused', () => {
  for (const kind of ['running', 'probing'] as const) assert.equal(TRANSITIONS[kind].positions_read, kind)
})

test('a partition that waits for a person shows when nothing else is wrong', () => {
  let hasStopped = false
  const state = runningState(() => hasStopped)
  hasStopped = true
  state.on('partition_stopped')
  assert.equal(state.kind, 'stopped')
  state.onFailure(new Error('refused'))
  state.on('partition_stopped')
  assert.equal(state.kind, 'paused')
  state.on('positions_read')
  state.on('proved')
  assert.equal(state.kind, 'stopped')
  hasStopped = false
  state.on('started_over')
  assert.equal(state.kind, 'starting')
  state.on('positions_read')
  assert.equal(state.kind, 'running')
})

test('an outage keeps its start time and counts its failures until it is closed', () => {
  const step = fc.constantFrom('failure', 'failure', 'positions_read', 'started_over', 'proved')
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const state = runningState()
      let failures = 0
      let first: Outage | undefined
      for (const [n, what] of steps.entries()) {
        if (what === 'failure') {
          state.onFailure(new Error(`failure ${n}`))
          failures += 1
          first ??= state.outage
          assert.equal(state.kind, 'paused')
          assert.equal(state.outage?.reason, `failure ${n}`)
        } else state.on(what)
        if (what === 'proved') {
          failures = 0
          first = undefined
        }
        assert.equal(state.outage !== undefined, failures > 0)
        assert.equal(state.outage !== undefined, state.kind === 'paused' || state.kind === 'probing')
        assert.equal(state.outage?.sinceMs, first?.sinceMs)
        if (failures > 0) assert.equal(state.outage?.attempts, failures - 1)
      }
    }),
  )
})
