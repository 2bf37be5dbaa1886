import assert from 'node:assert/strict'
import { test } from 'node:test'
import { plan } from '../../../../tools/drill/plan.ts'
import { judgeAll } from '../../../../tools/drill/record.ts'
import { countByMoment, drillPage, verdictLine } from '../../../../tools/drill/report.ts'
import type { FaultReport, Stretch } from '../../../../tools/drill/stretch.ts'

const KINDS = {
  sink_killed: ['under_load', 'before_commit'],
  disk_full: ['under_load'],
} as const

const fault = (change: Partial<FaultReport>): FaultReport => ({
  index: 0,
  kind: 'sink_killed',
  moment: 'before_commit',
  sink: 0,
  arrives: true,
  evidence: 'seen',
  recovered_ms: 1,
  ...change,
})
const stretch = (change: Partial<Stretch>): Stretch => ({
  stage: 'embedded',
  seed: 1,
  commit: 'abc1234',
  faults: [fault({})],
  acked: 10,
  records: 10,
  stored: 10,
  lost: 0,
  twice: 0,
  problems: [],
  ...change,
})

const CLEAN = [
  stretch({}),
  stretch({ faults: [fault({ index: 1 }), fault({ index: 2, moment: 'under_load', evidence: undefined })] }),
  stretch({
    seed: 2,
    commit: undefined,
    faults: [
      fault({ kind: 'disk_full', moment: 'under_load', evidence: undefined, skipped: 'no small disk' }),
    ],
  }),
]

test('the table counts observed faults by kind and moment, with a dash where the moment makes no difference', () => {
  const { names, rows } = countByMoment(CLEAN, KINDS)
  const cell = (row: number, name: string) => rows[row]?.[names.indexOf(name)]
  assert.deepEqual(
    [cell(0, 'kind'), cell(0, 'under_load'), cell(0, 'before_commit'), cell(0, 'before_hint')],
    ['sink_killed', '0', '2', '-'],
  )
  assert.deepEqual(
    [cell(1, 'kind'), cell(1, 'under_load'), cell(1, 'before_commit')],
    ['disk_full', '0', '-'],
  )
  assert.equal(rows.length, 2)
})

test('the last line counts observed and planned faults and those not possible on this machine', () => {
  assert.equal(
    verdictLine(judgeAll(CLEAN)),
    'OK: 0 lost, 0 twice over 2 observed faults (of 4; 1 not possible on this machine; seeds 1, 2; 30 acknowledged events).',
  )
})

test('the page has the verdict with the commits, a row for each seed, the table, and the faults not observed', () => {
  const page = drillPage(CLEAN, KINDS)
  const commits = 'Run at commit abc1234 (seed 1) and a commit that was not recorded (seed 2).'
  assert.ok(page.includes(`**${verdictLine(judgeAll(CLEAN))} ${commits}**`))
  assert.match(page, /^\| 1 \| abc1234 \| embedded \| 2 \| 3 \| 20 \| 0 \| 0 \| 0 \|$/m)
  assert.match(
    page,
    /^\| 2 \| not recorded \| embedded \| 0 \| 1 \(1 not possible\) \| 10 \| 0 \| 0 \| 0 \|$/m,
  )
  assert.match(page, /^\| sink_killed \| 0 \| - \| - \| 2 \|/m)
  assert.match(
    page,
    /^- seed 1, fault 3: sink_killed under_load\n- seed 2, fault 1: disk_full under_load: no small disk$/m,
  )
  assert.doesNotMatch(page, /Problems$/m)
})

test('the page of a failed drill shows FAILED and why, without log lines and paths', () => {
  const bad = stretch({ seed: 7, problems: ['fault 1: not recovered\n  at /home/x.log'], kept: '/home/x' })
  const page = drillPage([...CLEAN, bad], KINDS)
  assert.match(page, /\*\*FAILED: 0 lost/)
  assert.match(page, /^\| 7 \|.*\| 1 \|$/m)
  assert.match(page, /^## Problems\n\n- seed 7, faults 1 to 1: fault 1: not recovered$/m)
  assert.doesNotMatch(page, /home/)
})

test('a page omits empty lists if everything was observed', () => {
  const all = plan(1, 3).map((one) => fault(one))
  assert.doesNotMatch(drillPage([stretch({ faults: all })], KINDS), /Not observed|Problems$/m)
})
