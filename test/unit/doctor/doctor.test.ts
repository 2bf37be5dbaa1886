import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { judgeProgress } from '../../../doctor/check-lag.ts'
import { sortFindings, worstOf } from '../../../doctor/finding.ts'
import { oldestUnread } from '../../../doctor/oldest-unread.ts'
import { formatReport } from '../../../doctor/report.ts'
import { effectiveSettings } from '../../../doctor/role-settings.ts'
import { duration, listed, settingMs, size } from '../../../platform/units.ts'

const HOUR = 3_600
const WEEK = 168 * HOUR

/** Progress within two seconds, the retention, and the expected finding. */
const PROGRESS: [
  produced: number,
  stored: number,
  unread: number,
  oldestS: number,
  retentionS: number | undefined,
  level: string,
  text: RegExp,
][] = [
  [0, 0, 0, 0, WEEK, 'ok', /^Everything is stored/],
  [2_000, 1_990, 400, 1, WEEK, 'ok', /400 records not stored yet/],
  [
    0,
    0,
    5,
    127 * HOUR,
    WEEK,
    'critical',
    /5 records not stored, the oldest for 5 days; at this rate it expires in 41 h/,
  ],
  [
    200,
    0,
    9_000,
    2 * HOUR,
    WEEK,
    'warning',
    /; at this rate it expires in 6 days \(100\/s received, 0\/s stored\)/,
  ],
  [0, 0, 9_000, 2 * HOUR, 3 * HOUR, 'critical', /in 60 min/],
  [0, 0, 9_000, 4 * HOUR, 3 * HOUR, 'critical', /may expire at any moment/],
  [2_000, 4_000, 180_000, 90, WEEK, 'warning', /catches up in 3 min/],
  // Stores half of what came in while the backlog grew: the oldest ages by half a second each second.
  [2_000, 1_000, 7_200_000, 2 * HOUR, 3 * HOUR, 'critical', /in 2 h \(/],
  [0, 0, 10, 400 * HOUR, undefined, 'warning', /not stored, the oldest for 16 days \(/],
]
for (const [produced, stored, unread, oldestS, retentionS, level, text] of PROGRESS) {
  test(`runway: ${unread} unread, ${produced} in, ${stored} stored is ${level}`, () => {
    const finding = judgeProgress({ seconds: 2, produced, stored, unread, oldestS }, retentionS)
    assert.equal(finding.level, level)
    assert.match(finding.text, text)
    assert.equal(finding.mend === undefined, level === 'ok')
  })
}

test('the oldest unread record is found by offsets for timestamps', async () => {
  const nowMs = 1_800_000_000_000
  const ages = fc.array(fc.integer({ min: 0, max: 400 * 86_400_000 }), { minLength: 1, maxLength: 20 })
  const partition = fc.record({ ages, readShare: fc.double({ min: 0, max: 0.99, noNaN: true }) })
  const property = fc.asyncProperty(
    fc.array(partition, { minLength: 1, maxLength: 3 }),
    async (partitions) => {
      const logs = partitions.map((one) => one.ages.map((age) => nowMs - age).toSorted((a, b) => a - b))
      const from = new Map(
        partitions.map(({ readShare }, index) => [
          index,
          BigInt(Math.floor((logs[index]?.length ?? 0) * readShare)),
        ]),
      )
      let questions = 0
      const offsetsAt = async (ms: number): Promise<Map<number, bigint>> => {
        questions += 1
        const firstFrom = (log: number[]) => log.findIndex((time) => time >= ms)
        return new Map(
          logs.map((log, index) => [index, BigInt(firstFrom(log) < 0 ? log.length : firstFrom(log))]),
        )
      }
      const truth = Math.min(...logs.map((log, index) => log[Number(from.get(index))] ?? nowMs))
      const found = await oldestUnread(from, offsetsAt, nowMs)
      assert.ok(found <= truth, 'never too late')
      assert.ok(truth - found <= Math.max(500, (nowMs - found) * 0.01) + 1, `${truth - found} ms too early`)
      assert.ok(questions < 40, `${questions} questions`)
    },
  )
  await fc.assert(property, { numRuns: 300 })
})

test('settings of another role: in this database, else of the role, of the database, of the server', () => {
  const session = [
    { name: 'statement_timeout', value: '0', unit: 'ms', ofRole: false },
    { name: 'synchronous_commit', value: 'on', unit: null, ofRole: true },
  ]
  const own = [
    { role: null, ofDatabase: true, name: 'statement_timeout', value: '1s' },
    { role: 'sink', ofDatabase: false, name: 'statement_timeout', value: '2s' },
    { role: 'sink', ofDatabase: true, name: 'statement_timeout', value: '3s' },
    { role: 'other', ofDatabase: true, name: 'statement_timeout', value: '4s' },
  ]
  const of = (role: string, settings = own) => effectiveSettings(role, 'me', session, settings)
  assert.deepEqual(
    of('sink'),
    { statement_timeout: '3s' },
    'a setting of our own role says nothing about other roles',
  )
  assert.deepEqual(of('sink', own.slice(0, 2)), { statement_timeout: '2s' })
  assert.deepEqual(of('sink', own.slice(0, 1)), { statement_timeout: '1s' })
  assert.deepEqual(of('sink', []), { statement_timeout: '0ms' })
  assert.deepEqual(of('me'), { statement_timeout: '0ms', synchronous_commit: 'on' })
})

test('durations, sizes, lists and settings are formatted for people', () => {
  assert.deepEqual([0, 90, 150, 7_200, 147_600, 200_000].map(duration), [
    '0 s',
    '90 s',
    '2 min',
    '2 h',
    '41 h',
    '2 days',
  ])
  assert.deepEqual([0, 999, 1_500, 3.4e9].map(size), ['0 B', '999 B', '1.5 kB', '3.4 GB'])
  assert.deepEqual([[], [1], [1, 2], [1, 2, 3, 4, 5]].map(listed), ['', '1', '1 and 2', '1, 2, 3 and 2 more'])
  assert.deepEqual(['0ms', '5s', '1min', '250', '1.5h', 'x'].map(settingMs), [
    0,
    5_000,
    60_000,
    250,
    5.4e6,
    undefined,
  ])
})

test('the report is sorted, names the problems in its first line, and escapes control characters', () => {
  const findings = sortFindings([
    { check: 'kafka', level: 'ok', text: 'Well.' },
    { check: 'lag', level: 'warning', text: 'Late.', mend: 'Wait.' },
    { check: 'locks', level: 'critical', text: `Held by \u001b[2J ${'word '.repeat(30)}.`, mend: 'End it.' },
    { check: 'disk', level: 'note', text: 'Unseen.', mend: 'Look.' },
  ])
  assert.equal(worstOf(findings), 'critical')
  const lines = formatReport(findings).split('\n')
  assert.equal(lines[0], 'FIREHOSE CRITICAL: locks; warning: lag; 1 ok, 1 note')
  assert.match(lines[2] ?? '', /^critical {2}locks .*Held by \\u001b\[2J word/)
  assert.ok(lines.every((line) => line.length <= 110))
  assert.equal(worstOf([]), 'ok')
})
