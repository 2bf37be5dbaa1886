import assert from 'node:assert/strict'
import { test } from 'node:test'
import { watchStatus } from '../../../embedded/status-line.ts'

/** The status line and the messages for a sink with this /health. */
async function shownOf(
  sink: Record<string, unknown>,
  more: object = {},
): Promise<{ live: string; said: string[] }> {
  const stop = new AbortController()
  const said: string[] = []
  let shown = ''
  await watchStatus(
    async () => ({ atMs: 0, api: {}, sink, databaseAnswers: true, ...more }),
    (line) => {
      shown = line
      stop.abort()
    },
    (line) => said.push(line),
    stop.signal,
  )
  return { live: shown, said }
}

test('partitions that no member of the group reads are shown and reported, even if the sink is running', async () => {
  const group = { id: 'a-group', unread_partitions: [1, 3], other_topics: [] }
  const { live, said } = await shownOf({ state: 'running', partitions: [], group })
  assert.match(live, /\| partitions 1 and 3 read by no member of group a-group$/)
  assert.deepEqual(said, ['partitions 1 and 3 read by no member of group a-group'])
})

test('a group without problems, or not observed yet, is not mentioned', async () => {
  for (const unread_partitions of [[], null]) {
    const group = { id: 'a-group', unread_partitions, other_topics: unread_partitions }
    const { live, said } = await shownOf({ state: 'running', partitions: [], group })
    assert.match(live, /database up$/)
    assert.deepEqual(said, [])
  }
})

test('what maintenance could not do is shown, unless it is PostgreSQL that is away', async () => {
  const sink = { state: 'running', partitions: [] }
  for (const [maintain, shown] of [
    [undefined, undefined],
    [{ reason: null, last_run: { problems: [] } }, undefined],
    [{ reason: null, last_run: { problems: ['It stays.'] } }, 'maintenance: It stays.'],
    [{ reason: null, last_run: { problems: ['a', 'b'] } }, 'maintenance: 2 problems (npx firehose maintain)'],
    [{ reason: 'no rights' }, 'maintenance failing: no rights'],
  ] as const) {
    const { live, said } = await shownOf(sink, { maintain })
    assert.ok(live.endsWith(shown === undefined ? 'database up' : `| ${shown}`), live)
    assert.deepEqual(said, shown === undefined ? [] : [shown])
  }
  const away = await shownOf(sink, { maintain: { reason: 'ECONNREFUSED' }, databaseAnswers: false })
  assert.deepEqual(away.said, ['Database down'])
})

test('refusals, dead letters and an API that does not accept events are shown', async () => {
  const stop = new AbortController()
  const said: string[] = []
  const lines: string[] = []
  const seen = [
    { api: { total_rejected: { 'invalid-event': 1 } }, sink: { state: 'running', total_dead: 0 } },
    {
      api: { total_rejected: { 'invalid-event': 4, 'too-large': 2 }, reason: 'Kafka is unreachable' },
      sink: { state: 'running', total_dead: 1_234 },
    },
    {
      api: { total_rejected: { 'invalid-event': 4, 'too-large': 2 } },
      sink: { state: 'running', total_dead: 1_234 },
    },
  ]
  let atMs = 0
  await watchStatus(
    async () => ({ atMs: (atMs += 1_000), databaseAnswers: true, ...seen[lines.length]! }),
    (line) => {
      lines.push(line)
      if (lines.length === seen.length) stop.abort()
    },
    (line) => said.push(line),
    stop.signal,
  )
  assert.match(lines[0]!, /^accepted -\/s \| lag - \| stored -\/s \| database up$/)
  assert.match(
    lines[1]!,
    / \| refused 5\/s \| .* \| dead letters 1,234 \| database up \| API unavailable: Kafka is unreachable$/,
  )
  assert.deepEqual(said, [
    'API unavailable: Kafka is unreachable',
    'New dead letters: npx firehose dlq list',
    'API ready',
  ])
})
