import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runChecks } from '../../../doctor/checks.ts'
import type { Facts } from '../../../doctor/facts.ts'
import type { Finding } from '../../../doctor/finding.ts'
import { testBroken } from './broken.ts'
import { healthy, ok, withKafka, withPostgres, withTopic } from './healthy.ts'

const CREATE_TIME = { 'message.timestamp.type': 'CreateTime' }

testBroken([
  [
    'clocks differ',
    withPostgres({ clock: { aheadMs: -9_000, uncertaintyMs: 5 } }),
    'clocks',
    'warning',
    /9 s behind/,
  ],
  [
    'clocks differ by hours',
    withPostgres({ clock: { aheadMs: 7.2e6, uncertaintyMs: 5 } }),
    'clocks',
    'critical',
    /2 h ahead of/,
  ],
  [
    'records from the future',
    withKafka({ inFuture: ok([1]) }),
    'clocks',
    'warning',
    /Partition 1 holds records with timestamps in the future/,
  ],
  [
    'events that Kafka has before they were received',
    delays({ min: -7_200, max: 0.01 }),
    'clocks',
    'warning',
    /2 h before their received_at: the clock of an API is ahead of Kafka's/,
  ],
  [
    'events that Kafka has long after they were received',
    delays({ min: 0.005, max: 7_200 }),
    'clocks',
    'note',
    /2 h after their received_at: the clock of an API is behind Kafka's/,
  ],
  [
    'records that expire by the clocks of their producers',
    withTopic(CREATE_TIME),
    'retention',
    'warning',
    /expire by the clock of the API .*one that is 7 days behind within minutes/,
  ],
])

test('a clock that is a little off, and delays of a waiting API, are no findings', () => {
  assert.deepEqual(findings('clocks', delays({ min: -1, max: 30 })), [])
  assert.deepEqual(
    findings('clocks', { ...healthy(), sink: { ...healthy().sink, answer: { ok: false, error: 'x' } } }),
    [],
  )
})

test('what the times in Kafka mean depends on the type of the timestamp', () => {
  const future = { inFuture: ok([1]) }
  assert.match(findings('clocks', withKafka(future))[0]?.text ?? '', /a broker's clock is ahead/)
  assert.match(
    findings('clocks', withTopic(CREATE_TIME, future))[0]?.text ?? '',
    /a producer's clock is ahead/,
  )
  const refused = /Kafka refuses events from an API whose clock is more than an hour ahead/
  const ahead = { clock: { aheadMs: 9_000, uncertaintyMs: 5 } }
  assert.doesNotMatch(findings('clocks', withPostgres(ahead))[0]?.text ?? '', refused)
  assert.match(findings('clocks', withPostgres(ahead, withTopic(CREATE_TIME)))[0]?.text ?? '', refused)
})

test('both remedies against early expiry are accepted', () => {
  const [{ mend = '' } = {}] = findings('retention', withTopic(CREATE_TIME))
  const [, type] = /--add-config message\.timestamp\.type=(\w+)/.exec(mend) ?? []
  const [, slack] = /message\.timestamp\.before\.max\.ms=(\d+)/.exec(mend) ?? []
  assert.deepEqual(findings('retention', withTopic({ 'message.timestamp.type': type ?? '' })), [])
  assert.deepEqual(
    findings('retention', withTopic({ ...CREATE_TIME, 'message.timestamp.before.max.ms': slack ?? '' })),
    [],
  )
  assert.deepEqual(findings('retention', withTopic({ ...CREATE_TIME, 'retention.ms': '-1' })), [])
})

/** The findings of a check that are not ok. */
function findings(check: string, facts: Facts): Finding[] {
  return runChecks(facts).filter((finding) => finding.check === check && finding.level !== 'ok')
}

function delays(append_delay_s: { min: number; max: number }): Facts {
  const health = { state: 'running', total_expired: 0, append_delay_s }
  return { ...healthy(), sink: { ...healthy().sink, answer: ok({ ready: true, reason: undefined, health }) } }
}
