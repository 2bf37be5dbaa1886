import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { plan } from '../../../../tools/drill/plan.ts'
import { DrillRecord, judgeAll } from '../../../../tools/drill/record.ts'
import { type FaultReport, judge, type Stretch } from '../../../../tools/drill/stretch.ts'
import { emptyVerdict } from '../../../../tools/verify/verdict.ts'

const dir = mkdtempSync(join(tmpdir(), 'firehose-record-'))
after(() => rmSync(dir, { recursive: true }))

const reports = (from: number, to: number, evidence: string | undefined = 'seen'): FaultReport[] =>
  plan(1, to)
    .slice(from)
    .map((fault) => ({ ...fault, evidence, recovered_ms: 1 }))

function stretch(change: Partial<Stretch> = {}): Stretch {
  const figures = { acked: 10, records: 10, stored: 10, lost: 0, twice: 0, problems: [] }
  return { stage: 'embedded', seed: 1, faults: reports(0, 20), ...figures, ...change }
}

test('a later run continues where the file ends, and repeats an incomplete stretch', () => {
  const file = join(dir, 'state.jsonl')
  const record = new DrillRecord(file, 'embedded')
  assert.equal(record.done(1), 0)
  record.add(stretch())
  record.add(stretch({ seed: 2, faults: reports(0, 5) }))
  appendFileSync(file, '{"stage":"embedded","seed":1,"fau')
  const later = new DrillRecord(file, 'embedded')
  assert.deepEqual([later.done(1), later.done(2), later.done(3)], [20, 5, 0])
  assert.deepEqual(later.stretches, record.stretches)
})

test('a file of another stage, or any other file, is rejected with one sentence', () => {
  const file = join(dir, 'other.jsonl')
  writeFileSync(file, `${JSON.stringify(stretch({ stage: 'compose' }))}\n`)
  assert.throws(() => new DrillRecord(file, 'embedded'), /contains faults of the compose stage/)
  writeFileSync(file, 'hello\n')
  assert.throws(() => new DrillRecord(file, 'embedded'), /is not a state file of a drill/)
})

test('a fault without an observed effect does not count', () => {
  const seen = stretch({ faults: reports(0, 3) })
  const unseen = stretch({ faults: reports(3, 6).map((one) => ({ ...one, evidence: undefined })) })
  const { faults, observed } = judgeAll([seen, unseen])
  assert.deepEqual({ faults, observed }, { faults: 6, observed: 3 })
  assert.equal(judgeAll([unseen]).ok, false, 'a drill without observed faults proves nothing')
})

const clean = { ...emptyVerdict(), ok: true, records: 10, stored: 10, acked: 10, acked_stored: 10 }

test('the verdict of a stretch: anything wrong with an event counts as lost, twice or a problem', () => {
  assert.deepEqual(judge(clean, 10, 10), {
    acked: 10,
    records: 10,
    stored: 10,
    lost: 0,
    twice: 0,
    problems: [],
  })
  assert.equal(judge({ ...clean, missing_count: 1 }, 10, 10).lost, 1)
  assert.equal(judge({ ...clean, different_count: 1 }, 10, 10).lost, 1)
  assert.equal(judge({ ...clean, changed: 1 }, 10, 10).lost, 1)
  assert.equal(judge({ ...clean, dead: 1 }, 10, 10).lost, 1)
  assert.equal(judge({ ...clean, acked_stored: 9, acked_missing_count: 1 }, 10, 10).lost, 1)
  assert.equal(judge({ ...clean, acked_stored: 9, acked_different_count: 1 }, 10, 10).lost, 1)
  assert.equal(judge(clean, 10, 11).twice, 1)
  assert.match(judge(clean, 11, 10).problems.join(), /counted 11 .* wrote 10/)
  assert.match(judge({ ...clean, acked_stored: 9 }, 10, 10).problems.join(), /1 .* not checked/)
  assert.match(judge({ ...clean, not_yet_read: 1 }, 10, 10).problems.join(), /1 records were not read/)
  assert.match(judge({ ...clean, problems: ['expired'] }, 10, 10).problems.join(), /expired/)
})

test('one bad stretch makes the whole drill fail and is named; a later clean run does not change that', () => {
  assert.equal(judgeAll([stretch(), stretch()]).ok, true)
  for (const bad of [{ lost: 1 }, { twice: 1 }, { problems: ['1 lost, 1 twice'] }]) {
    const file = join(dir, 'bad.jsonl')
    rmSync(file, { force: true })
    new DrillRecord(file, 'embedded').add(stretch({ seed: 2, faults: reports(20, 23), ...bad }))
    const later = new DrillRecord(file, 'embedded')
    assert.equal(later.done(2), 23, 'it continues after the fault from which the stack did not recover')
    later.add(stretch({ seed: 2, faults: reports(23, 40) }))
    const { ok, problems } = judgeAll(new DrillRecord(file, 'embedded').stretches)
    assert.equal(ok, false, JSON.stringify(bad))
    assert.match(problems.join('\n'), /^seed 2, faults 21 to 23: \d lost, \d twice$/)
  }
  assert.match(judgeAll([stretch({ faults: [], problems: ['no'] })]).problems.join(), /^seed 1: no$/)
})
