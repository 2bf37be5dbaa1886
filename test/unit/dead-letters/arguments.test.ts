import assert from 'node:assert/strict'
import { test } from 'node:test'
import { dlqCommand } from '../../../cli/dlq.ts'
import { type Command, readCommand } from '../../../dead-letters/arguments.ts'
import { UsageError } from '../../../platform/usage-error.ts'

const NOW = Date.parse('2026-01-02T03:04:05.678Z')

function read(line: string): Command {
  const args = line.split(' ').map((word) => word.replaceAll('+', ' '))
  const dlq = dlqCommand()
  const { operands } = dlq.parseOptions(args)
  return readCommand(operands, dlq.opts(), 'events', NOW)
}

test('list selects open letters and the newest 50 by default', () => {
  const list = read('list')
  assert.ok(list.name === 'list')
  assert.deepEqual([list.limit, list.order, list.json], [50, 'newest', false])
  assert.deepEqual([list.selection.topic, list.selection.states], ['events', ['open']])
  assert.deepEqual(read('list --state all').selection.states, [])
  assert.deepEqual(read('show 0:17').selection.states, [])
})

test('every filter is parsed', () => {
  const id = '0198C0DE-7a5b-7000-8000-0123456789ab'
  const { selection } = read(
    `list 0:17 3:9007199254740993 --reason constraint --reason kept_out --state replayed --since 2h --until 2026-01-02T01:00:00-02:00 ` +
      `--partition 1 --offset 5 --event-id ${id} --sqlstate p0001 --cluster old+until+then`,
  )
  assert.deepEqual(selection, {
    topic: 'events',
    states: ['replayed'],
    cluster: 'old until then',
    reasons: ['constraint', 'kept_out'],
    sqlstate: 'P0001',
    since: '2026-01-02T01:04:05.678Z',
    until: '2026-01-02T03:00:00.000000Z',
    partition: 1,
    offset: 5n,
    places: [
      { partition: 0, offset: 17n },
      { partition: 3, offset: 9_007_199_254_740_993n },
    ],
    eventId: id.toLowerCase(),
  })
})

test('replay selects open letters, discarded ones only with --state discarded, stored ones never', () => {
  const replay = read('replay --new-id -y --limit 3')
  assert.ok(replay.name === 'replay')
  assert.deepEqual([replay.newId, replay.yes, replay.dryRun, replay.limit], [true, true, false, 3])
  assert.deepEqual(replay.selection.states, ['open'])
  assert.deepEqual(read('replay --state discarded').selection.states, ['discarded'])
  const discard = read('discard --why +gone+for+good+ --dry-run')
  assert.ok(discard.name === 'discard')
  assert.deepEqual([discard.why, discard.dryRun, discard.limit], ['gone for good', true, undefined])
})

for (const [line, sentence] of [
  ['', /There is no command ""/],
  ['delete 0:1', /There is no command "delete"/],
  ['show', /show needs PARTITION:OFFSET/],
  ['replay --state replayed', /For replay, --state must be open or discarded/],
  ['replay --state all', /For replay, --state must be open or discarded/],
  ['discard --why x --state discarded', /For discard, --state must be open/],
  ['discard', /needs --why/],
  ['discard --why +', /needs --why/],
  ['replay --why x', /--why is not an option of replay/],
  ['list --yes', /--yes is not an option of list/],
  ['show 0:1 --limit 3', /--limit is not an option of show/],
  ['replay --yes --dry-run', /cannot be combined/],
  ['list 17', /"17" must be PARTITION:OFFSET/],
  ['list 0:1:2', /must be PARTITION:OFFSET/],
  ['list 0:x', /an offset must be a number/],
  ['list --offset 9223372036854775808', /an offset must be a number/],
  ['list --partition 2147483648', /a partition must be a number/],
  ['list --reason constraints', /--reason must be one of undecodable, event_id_conflict/],
  ['list --state opened', /--state must be one of open, replayed, discarded or all/],
  ['list --since yesterday', /--since must be a time such as/],
  ['list --since 2026-13-01T00:00:00Z', /--since must be a time such as/],
  ['list --until 2w', /--until must be a time such as/],
  ['list --event-id 17', /--event-id must be a UUID/],
  ['list --sqlstate 235', /--sqlstate must be five/],
  ['list --limit 0', /--limit must be a number/],
  ['list --order up', /--order must be newest or oldest/],
] as const) {
  test(`wrong usage is reported in one sentence: dlq ${line}`, () => {
    assert.throws(
      () => read(line),
      (error) => error instanceof UsageError && sentence.test(error.message),
    )
  })
}
