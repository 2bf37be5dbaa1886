import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runChecks } from '../../../doctor/checks.ts'
import type { Facts } from '../../../doctor/facts.ts'
import type { CheckName, Level } from '../../../doctor/finding.ts'

/** What is broken, the facts, the one check that is to find it, how bad, in which words. */
export type Broken = [name: string, facts: Facts, check: CheckName, level: Level, text: RegExp]

/** Each is found by its check alone, with what mends it. */
export function testBroken(rows: readonly Broken[]): void {
  for (const [name, facts, check, level, text] of rows) {
    test(`${check}: ${name} is ${level}`, () => {
      const findings = runChecks(facts).filter((finding) => finding.level !== 'ok')
      const found = findings.map((finding) => `${finding.check} ${finding.level}`)
      assert.deepEqual(found, [`${check} ${level}`])
      assert.match(findings[0]?.text ?? '', text)
      assert.ok((findings[0]?.mend ?? '') !== '', 'no finding without a mend')
    })
  }
}
