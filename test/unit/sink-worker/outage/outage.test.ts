import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { afterFailure, afterProbe, type Breaker, RUNNING } from '../../../../sink-worker/outage/outage.ts'

const because = (reason: string) => ({ reason, needsPerson: false })

test('a failure pauses, a probe lets batches flow again, and another failure resumes the pause', () => {
  const paused = afterFailure(RUNNING, because('refused'), 1_000)
  assert.deepEqual(paused, {
    kind: 'paused',
    reason: 'refused',
    needsPerson: false,
    sinceMs: 1_000,
    attempts: 0,
  })
  const again = afterFailure(paused, because('starting up'), 1_200)
  assert.deepEqual(again, {
    kind: 'paused',
    reason: 'starting up',
    needsPerson: false,
    sinceMs: 1_000,
    attempts: 1,
  })
  const probing = afterProbe(again)
  assert.deepEqual(probing, {
    kind: 'probing',
    reason: 'starting up',
    needsPerson: false,
    sinceMs: 1_000,
    attempts: 1,
  })
  const full = afterFailure(probing, because('disk full'), 1_400)
  assert.deepEqual(full, {
    kind: 'paused',
    reason: 'disk full',
    needsPerson: false,
    sinceMs: 1_000,
    attempts: 2,
  })
})

test('a probe changes nothing while the breaker is not paused', () => {
  assert.equal(afterProbe(RUNNING), RUNNING)
  const probing = afterProbe(afterFailure(RUNNING, because('x'), 1))
  assert.equal(afterProbe(probing), probing)
})

test('an outage keeps its start time and counts its failures until it is closed', () => {
  const step = fc.constantFrom<'failure' | 'probe' | 'close'>('failure', 'failure', 'probe', 'close')
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      let breaker: Breaker = RUNNING
      let failures = 0
      let since = -1
      for (const [now, what] of steps.entries()) {
        if (what === 'close') {
          breaker = RUNNING
          failures = 0
        } else if (what === 'probe') {
          const before: Breaker = breaker
          breaker = afterProbe(before)
          assert.equal(breaker.kind, before.kind === 'running' ? 'running' : 'probing')
        } else {
          if (failures === 0) since = now
          failures += 1
          breaker = afterFailure(breaker, because(`failure ${now}`), now)
          assert.deepEqual(breaker, {
            kind: 'paused',
            reason: `failure ${now}`,
            needsPerson: false,
            sinceMs: since,
            attempts: failures - 1,
          })
        }
        if (breaker.kind !== 'running')
          assert.deepEqual([breaker.sinceMs, breaker.attempts], [since, failures - 1])
      }
    }),
  )
})
