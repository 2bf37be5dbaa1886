import assert from 'node:assert/strict'
import { after, beforeEach, test } from 'node:test'
import { DeadLetterBench } from '../support/dead-letters.ts'
import { sinkInTransaction } from '../support/moments.ts'
import { record } from '../support/records.ts'
import { until } from '../support/until.ts'

/*
 * I2, for dead letters: a letter is `replayed` if and only if its event is stored, and each event is stored once, however
 * often a replay is killed or interrupted, or runs beside another replay or a sink.
 */

const bench = await DeadLetterBench.open()

beforeEach(async () => {
  await bench.clear()
})
after(async () => {
  await bench.pipeline.close()
})

test('I2: a replay killed with SIGKILL, before or after it sets the state of its letters, loses and repeats nothing', async () => {
  await bench.deadLetter(1_001, 1_200)
  const second = await bench.holdEvent(1_700) // blocks the second of three transactions
  const first = bench.start(['replay', '--yes'])
  await bench.commandWaits()
  assert.deepEqual([(await bench.states()).replayed, await bench.pipeline.countEvents()], [500, 500])
  first.child.kill('SIGKILL')
  await second.release()
  await bench.noReplay()
  assert.deepEqual([(await bench.states()).replayed, await bench.pipeline.countEvents()], [500, 500])

  const written = await bench.hold('LOCK TABLE dead_letter_history IN SHARE MODE') // rows and states are written, not committed
  const again = bench.start(['replay', '--yes'])
  await bench.commandWaits()
  again.child.kill('SIGKILL')
  await written.release()
  await bench.noReplay()
  assert.deepEqual([(await bench.states()).replayed, await bench.pipeline.countEvents()], [500, 500])

  const { code, out } = await bench.dlq('replay', '--yes')
  assert.equal(code, 0)
  assert.match(out, /^700 stored, 0 already stored, 0 stay/m)
  await bench.assertStored(1_001, 1_200)
  assert.deepEqual(await bench.history(), ['replay stored x1200'])
  assert.equal((await bench.pipeline.verify()).ok, true)
})

test('Ctrl-C stops the command after the current transaction; it prints the counts and exits with 130', async () => {
  await bench.deadLetter(3_001, 1_200)
  const held = await bench.holdEvent(3_700)
  const { child, ended, said } = bench.start(['replay', '--yes'])
  await bench.commandWaits()
  child.kill('SIGINT')
  await until('the signal is handled', () => said().includes('Stopping after the current transaction'))
  await held.release()
  const { code, out, err } = await ended
  assert.equal(code, 130, out + err)
  assert.match(out, /^1,000 stored, .*\nInterrupted\. What was done is committed/m)
  assert.deepEqual(await bench.states(), { total: 1_200, open: 200, replayed: 1_000, discarded: 0 })
  assert.equal(await bench.pipeline.countEvents(), 1_000)
  assert.equal((await bench.dlq('replay', '--yes')).code, 0)
  await bench.assertStored(3_001, 1_200)
})

test('I2: two concurrent replays share the letters; each is stored once', async () => {
  await bench.deadLetter(5_001, 1_200)
  const held = await bench.holdEvent(5_100)
  const first = bench.start(['replay', '--yes'])
  await bench.commandWaits()
  const other = await bench.dlq('replay', '--yes')
  assert.equal(other.code, 1)
  assert.match(other.out, /^700 stored, .*\n500 dead letters skipped, because another session/m)
  await held.release()
  const { code, out } = await first.ended
  assert.equal(code, 0)
  assert.match(out, /^500 stored, 0 already stored, 0 stay/m)
  await bench.assertStored(5_001, 1_200)
  assert.deepEqual(await bench.history(), ['replay stored x1200'])
})

test('a letter committed after the plan is not touched, even if its transaction began before', async () => {
  await bench.deadLetter(11_001, 1_101)
  // On the last page, but not the last letter: a replay handles no more letters than the plan had.
  const [place] = await bench.pipeline.query<{ offset: string }>(
    'DELETE FROM dead_letters WHERE "offset" = (SELECT max("offset") - 10 FROM dead_letters) RETURNING "offset"',
  )
  const lateLetter = (state: string): string => `
    INSERT INTO dead_letters (cluster_id, topic, partition, "offset", value, value_bytes, reason, message, state)
    SELECT DISTINCT cluster_id, topic, partition, ${place?.offset}, 'late'::bytea, 4, 'undecodable', 'late', '${state}'
    FROM dead_letters`
  for (const { state, command, done } of [
    { state: 'open', command: ['discard', '--why', 'a test'], done: /^1,100 dead letters discarded/m },
    { state: 'discarded', command: ['replay', '--state', 'discarded'], done: /^1,100 stored/m },
  ]) {
    const late = await bench.hold(lateLetter(state))
    const held = await bench.hold('LOCK TABLE dead_letter_history IN SHARE MODE')
    const { ended } = bench.start([...command, '--yes'])
    await bench.commandWaits() // in the first of its transactions
    await late.commit()
    await held.release()
    const { code, out } = await ended
    assert.equal(code, 0, out)
    assert.match(out, done)
    const left = await bench.pipeline.query(`DELETE FROM dead_letters WHERE message = 'late' RETURNING state`)
    assert.deepEqual(left, [{ state }])
  }
})

test('I2: a replay while a sink reads the same records again: each is stored once, without new letters', async () => {
  await bench.deadLetter(7_001, 300)
  await bench.send(...Array.from({ length: 300 }, (_, index) => record(7_301 + index)), 'no event')
  await until('caught up', async () => await bench.pipeline.isCaughtUp())
  await bench.rewindSink()
  const held = await bench.hold('LOCK TABLE dead_letter_history IN SHARE MODE')
  const { ended } = bench.start(['replay', '--yes', '--reason', 'kept_out'])
  await bench.commandWaits() // its rows are written but not committed
  bench.sink.spawn()
  await sinkInTransaction(bench.pipeline) // it waits for them
  await held.release()
  assert.deepEqual([(await ended).code, (await bench.states()).replayed], [0, 300])
  await until('caught up', async () => await bench.pipeline.isCaughtUp())
  await bench.assertStored(7_001, 600)
  assert.deepEqual(await bench.states(), { total: 301, open: 1, replayed: 300, discarded: 0 })
  assert.equal((await bench.pipeline.verify()).ok, true)
})

test('I2: a replay and a sink write the same ids in opposite orders: one of them retries', async () => {
  await bench.deadLetter(9_001, 3, (n) => record(18_004 - n)) // the sink writes them in order of offset, a replay in order of id
  await bench.rewindSink()
  const held = await bench.holdEvent(9_002)
  // The session whose deadlock_timeout expires first is the victim.
  const { ended } = bench.start(['replay', '--yes'], { PGOPTIONS: '-c deadlock_timeout=100ms' })
  await bench.commandWaits() // the replay has inserted 9001
  bench.sink.spawn()
  await sinkInTransaction(bench.pipeline) // the sink has inserted 9003
  await held.release()
  const { code, out } = await ended
  assert.equal(code, 0)
  assert.match(out, /^0 stored, 3 already stored, 0 stay/m)
  await bench.assertStored(9_001, 3)
  await until('the deadlock is counted', async () => {
    const rows = await bench.pipeline.query('SELECT 1 FROM pg_stat_database WHERE deadlocks > 0')
    return rows.length > 0
  })
})
