import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runChecks } from '../../../doctor/checks.ts'
import type { Facts } from '../../../doctor/facts.ts'
import type { CheckName, Level } from '../../../doctor/finding.ts'

/** What is broken, the facts, and the expected finding. */
export type Broken = [name: string, facts: Facts, check: CheckName, level: Level, text: RegExp]

/** Each fault must lead to exactly one finding that is not ok, with a remedy. */
export function testBroken(rows: readonly Broken[]): void {
  for (const [name, facts, check, level, text] of rows) {
    test(`${check}: ${name} is ${level}`, () => {
      const findings = runChecks(facts).filter((finding) => finding.level !== 'ok')
      const found = findings.map((finding) => `${finding.check} ${finding.level}`)
      assert.deepEqual(found, [`${check} ${level}`])
      assert.match(findings[0]?.text ?? '', text)
      assert.ok((findings[0]?.mend ?? '') !== '', 'every finding has a remedy')
    })
  }
}
