import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { after, beforeEach, test } from 'node:test'
import kafkajs from 'kafkajs'
import { newEventId } from '../../dead-letters/decide.ts'
import { DeadLetterBench } from '../support/dead-letters.ts'
import { idOf, kafkaClient, record } from '../support/records.ts'

/*
 * `npx firehose dlq` lists, replays and discards letters. Letters that cannot be stored stay; nothing changes without
 * confirmation; every change is in the history.
 */

const { ConfigResourceTypes } = kafkajs

const bench = await DeadLetterBench.open()

beforeEach(async () => {
  await bench.clear()
})
after(async () => {
  await bench.pipeline.close()
})

test('list counts and filters, and prints no values; show prints everything, with control characters escaped', async () => {
  await bench.send(
    '{"secret":"\u001b[31mred\u009b',
    Buffer.from([0xff, 0x1b, 0x5b]),
    record(1),
    record(1, { metadata: { secret: 'hidden' } }),
  )
  await bench.letters(3)
  const all = await bench.dlq('list')
  assert.equal(all.code, 0)
  assert.match(all.out, /^undecodable +\| 2 +\| 0 +\| 0 /m)
  assert.match(all.out, /^event_id_conflict +\| 1 +\| 0 +\| 0 /m)
  assert.match(all.out, /\(3 dead letters, open\)/)
  assert.doesNotMatch(all.out, /secret|hidden/)

  const rows = await bench.pipeline.query<{ offset: string }>(
    'SELECT "offset" FROM dead_letters ORDER BY "offset"',
  )
  const [text = '', binary = '', conflict = ''] = rows.map(({ offset }) => `0:${offset}`)
  const json = (
    await bench.dlq('list', '--json', '--reason', 'undecodable', '--since', '1h', '--order', 'oldest')
  ).out
  const parsed = json
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { offset: string; reason: string })
  assert.deepEqual(
    parsed.map(({ offset, reason }) => [`0:${offset}`, reason]),
    [
      [text, 'undecodable'],
      [binary, 'undecodable'],
    ],
  )
  const one = await bench.dlq('list', '--event-id', idOf(1), '--sqlstate', '23505', '--limit', '1')
  assert.match(one.out, new RegExp(`^${conflict} `, 'm'))
  assert.match((await bench.dlq('list', '--until', '1h')).out, /There are no such dead letters/)

  const shown = await bench.dlq('show', text, binary)
  assert.ok(shown.out.includes('{"secret":"\\u001b[31mred\\u009b'), shown.out)
  assert.ok(shown.out.includes('ff1b5b'))
  // oxlint-disable-next-line no-control-regex
  assert.doesNotMatch(shown.out, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/)
  const exact = JSON.parse((await bench.dlq('show', conflict, '--json')).out) as {
    value: string
    history: unknown[]
  }
  assert.equal(exact.value, record(1, { metadata: { secret: 'hidden' } }))
  assert.deepEqual(exact.history, [])
  assert.equal((await bench.dlq('show', '0:999999')).code, 1)
})

test('nothing changes without confirmation: no --yes, a dry run, no letters selected', async () => {
  await bench.deadLetter(10, 2)
  const unsaid = await bench.dlq('replay')
  assert.deepEqual(
    [unsaid.code, unsaid.err],
    [64, 'Nothing was changed: add --yes to confirm. Try --help.\n'],
  )
  assert.match(unsaid.out, /kept_out +\| 2 .*stored, if the index or trigger that kept them out is gone/)
  assert.equal((await bench.dlq('replay', '--dry-run')).code, 0)
  assert.equal((await bench.dlq('discard', '--dry-run', '--why', 'no use')).code, 0)
  assert.equal((await bench.dlq('discard', '--yes')).code, 64)
  assert.match((await bench.dlq('replay', '--yes', '--reason', 'constraint')).out, /nothing to do/)
  assert.deepEqual(await bench.states(), { total: 2, open: 2, replayed: 0, discarded: 0 })
  assert.deepEqual([await bench.pipeline.countEvents(), await bench.history()], [0, []])
})

test('I2: after the CHECK that refused rows is dropped, ten replays store each of them once', async () => {
  await bench.pipeline.query('ALTER TABLE events ADD CONSTRAINT not_yet CHECK (user_id % 20 <> 0)')
  await bench.send(...Array.from({ length: 40 }, (_, index) => record(101 + index)))
  await bench.letters(2)
  const refused = await bench.dlq('replay', '--yes')
  assert.equal(refused.code, 1)
  assert.match(
    refused.out,
    new RegExp(`STAYS OPEN {2}0:\\d+ \\(event ${idOf(120)}\\) {2}constraint 23514: .*not_yet`),
  )
  assert.match(refused.out, /^0 stored, 0 already stored, 2 stay as they are\.$/m)
  await bench.pipeline.query('ALTER TABLE events DROP CONSTRAINT not_yet')
  await bench.pipeline.query(
    `INSERT INTO events SELECT $1::uuid, 140, '2026-01-02T03:04:05.123456Z', '{"page":"/p/140"}', now()`,
    [idOf(140)],
  )
  for (let run = 0; run < 10; run++) {
    const { code, out } = await bench.dlq('replay', '--yes')
    assert.equal(code, 0)
    assert.match(out, run === 0 ? /^1 stored, 1 already stored, 0 stay/m : /nothing to do/)
  }
  await bench.assertStored(101, 40)
  assert.deepEqual(await bench.states(), { total: 2, open: 0, replayed: 2, discarded: 0 })
  assert.deepEqual(await bench.history(), [
    'replay already_stored x1',
    'replay refused constraint 23514 x2',
    'replay stored x1',
  ])
  const offset = await bench.firstOffset()
  assert.match((await bench.dlq('show', `0:${offset}`)).out, /replay \| refused .*replay \| stored/s)
})

test('I6: a letter that still cannot be stored stays open and is reported; its neighbours are stored', async () => {
  await bench.deadLetter(201, 60)
  await bench.pipeline.query('ALTER TABLE events ADD CONSTRAINT no_230 CHECK (user_id <> 230)')
  const { code, out } = await bench.dlq('replay', '--yes')
  await bench.pipeline.query('ALTER TABLE events DROP CONSTRAINT no_230')
  assert.equal(code, 1)
  assert.match(out, new RegExp(`STAYS OPEN .*${idOf(230)}.*no_230`))
  assert.match(out, /^59 stored, 0 already stored, 1 stay/m)
  assert.deepEqual(await bench.states(), { total: 60, open: 1, replayed: 59, discarded: 0 })
  assert.equal(await bench.pipeline.countEvents(), 59)
})

test('I2: a letter whose id belongs to another event stays open; --new-id stores it once, under an id derived from its place', async () => {
  await bench.send(
    record(301),
    record(301, { metadata: { page: 'b' } }),
    record(301, { metadata: { page: 'c' } }),
  )
  await bench.letters(2)
  const { code, out } = await bench.dlq('replay', '--yes')
  assert.deepEqual([code, (await bench.states()).open], [1, 2])
  assert.match(out, /STAYS OPEN .*event_id_conflict 23505: An event with this id but different content/)
  assert.match((await bench.dlq('replay', '--yes', '--new-id', '--limit', '1')).out, /^1 stored/m)
  assert.equal((await bench.dlq('replay', '--yes', '--new-id')).code, 0)
  assert.match((await bench.dlq('replay', '--yes', '--new-id')).out, /nothing to do/)

  const rows = await bench.pipeline.query<{ offset: string }>(
    'SELECT "offset" FROM dead_letters ORDER BY "offset"',
  )
  const clusterId = await bench.clusterId()
  const ids = rows.map(({ offset }) =>
    newEventId({ clusterId, partition: 0, offset: BigInt(offset) }, 'events'),
  )
  assert.deepEqual(
    await bench.pipeline.query(`SELECT event_id, metadata ->> 'page' AS page FROM events ORDER BY page`),
    [
      { event_id: idOf(301), page: '/p/301' },
      { event_id: ids[0], page: 'b' },
      { event_id: ids[1], page: 'c' },
    ],
  )
  assert.deepEqual(
    await bench.pipeline.query(
      `SELECT event_id, message, by = session_user AS by_me FROM dead_letter_history WHERE outcome = 'stored' ORDER BY id`,
    ),
    ids.map((id) => ({
      event_id: id,
      message: `stored under a new id: ${idOf(301)} belongs to another event`,
      by_me: true,
    })),
  )
})

test('discard keeps the reason; a discarded letter is replayed only with --state discarded', async () => {
  await bench.deadLetter(401, 3)
  const offset = await bench.firstOffset()
  assert.equal((await bench.dlq('discard', `0:${offset}`, '--yes', '--why', 'a test of ours')).code, 0)
  assert.deepEqual(await bench.states(), { total: 3, open: 2, replayed: 0, discarded: 1 })
  assert.match((await bench.dlq('show', `0:${offset}`)).out, /discard \| discarded .*a test of ours/)
  assert.match((await bench.dlq('replay', '--yes')).out, /^2 stored/m)
  assert.equal((await bench.dlq('replay', '--yes', '--state', 'replayed')).code, 64)
  assert.equal((await bench.dlq('replay', '--yes', '--state', 'discarded')).code, 0)
  await bench.assertStored(401, 3)
  assert.deepEqual(await bench.history(), ['discard discarded x1', 'replay stored x3'])
})

test('a value of more than 1 MiB is read from Kafka by its coordinates; if it has expired, the replay says so', async () => {
  const admin = kafkaClient(bench.pipeline.backend.kafka.bootstrapServers).admin()
  await admin.connect()
  await admin.alterConfigs({
    validateOnly: false,
    resources: [
      {
        type: ConfigResourceTypes.TOPIC,
        name: 'events',
        configEntries: [{ name: 'max.message.bytes', value: '8000000' }],
      },
    ],
  })
  const large = (n: number): string =>
    record(n, { metadata: { page: `/p/${n}`, large: 'x'.repeat(1_500_000) } })
  await bench.deadLetter(8_001, 2, large)
  const [kept] = await bench.pipeline.query<{ value: null; first: string; last: string }>(
    'SELECT min(value) AS value, min("offset") AS first, max("offset") AS last FROM dead_letters',
  )
  assert.ok(kept)
  assert.equal(kept.value, null)
  const { code, out } = await bench.dlq('replay', '--yes', `0:${kept.first}`)
  assert.equal(code, 0, out)
  assert.deepEqual(
    await bench.pipeline.query(`SELECT user_id, length(metadata ->> 'large') AS length FROM events`),
    [{ user_id: '8001', length: 1_500_000 }],
  )

  await bench.send(record(8_003)) // the broker keeps its last record
  await bench.forgetRecordsBefore(String(BigInt(kept.last) + 1n))
  const groups = await admin.listGroups()
  await admin.disconnect()
  assert.deepEqual(
    groups.groups.filter(({ groupId }) => groupId.startsWith('firehose-dlq')),
    [],
  )
  const expired = await bench.dlq('replay', '--yes')
  assert.equal(expired.code, 1)
  assert.match(expired.out, /STAYS OPEN .*value_expired: The value has expired: partition 0 now starts at/)
  assert.deepEqual(await bench.history(), ['replay refused value_expired x1', 'replay stored x1'])
})

test('letters of an earlier topic keep their history under a separate cluster_id, so the two can be distinguished', async () => {
  await bench.send('no event')
  await bench.letters(1)
  await bench.dlq('replay', '--yes')
  const offset = await bench.firstOffset()
  await bench.sink.stop(10_000)
  const adopt = spawn(process.execPath, ['cli/firehose.ts', 'adopt', '--all'], {
    env: bench.pipeline.env,
    stdio: 'ignore',
  })
  assert.equal(await new Promise((resolve) => adopt.on('close', resolve)), 0)
  await bench.sink.start()
  await bench.letters(2) // the same record again, which the sink takes for one of another topic
  const clusterId = await bench.clusterId()
  const list = await bench.dlq('list')
  assert.match(
    list.out,
    new RegExp(
      `^${clusterId} until 20.*\n${clusterId} +\\| |^${clusterId} +\\| .*\n${clusterId} until 20`,
      'm',
    ),
  )
  const place = `0:${offset}`
  const ambiguous = await bench.dlq('discard', place, '--yes', '--why', 'junk')
  assert.equal(ambiguous.code, 64)
  assert.match(ambiguous.err, /exist in 2 clusters: add --cluster/)
  assert.equal((await bench.dlq('discard', place, '--yes', '--why', 'junk', '--cluster', clusterId)).code, 0)
  assert.match(
    (await bench.dlq('show', place, '--state', 'open')).out,
    /until 20.*replay \| refused .*undecodable/s,
  )
  assert.match((await bench.dlq('show', place, '--state', 'discarded')).out, /discard \| discarded/)
})

test('PostgreSQL unreachable: one sentence and exit code 2', async () => {
  const url = new URL(bench.pipeline.backend.postgres.url)
  url.port = '1'
  const { code, err } = await bench.start(['list'], { DATABASE_URL: url.href }).ended
  assert.equal(code, 2)
  assert.match(
    err,
    /^PostgreSQL at 127\.0\.0\.1:\d+\/\w+ \(DATABASE_URL\) cannot be used: .*ECONNREFUSED[^\n]*\n$/,
  )
})
