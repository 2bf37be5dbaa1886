import assert from 'node:assert/strict'
import { test } from 'node:test'
import { kafkaProblem, postgresProblem } from '../../../maintenance/clock-guard.ts'

test("PostgreSQL's clock may be an hour off, either way, and not more", () => {
  for (const aheadMs of [-3_600_000, 0, 3_600_000]) assert.equal(postgresProblem(aheadMs), undefined)
  assert.match(postgresProblem(7_300_000) ?? '', /^PostgreSQL's clock is 2 h ahead of this machine's\./)
  assert.match(postgresProblem(-3_600_001) ?? '', /60 min behind this machine's/)
})

test('Kafka may append a record up to an hour before or after its received_at', () => {
  assert.equal(kafkaProblem(undefined), undefined)
  assert.equal(kafkaProblem({ min: -3_600, max: 3_600 }), undefined)
  assert.match(kafkaProblem({ min: -7_300, max: 1 }) ?? '', /2 h before its received_at/)
  assert.match(kafkaProblem({ min: 0, max: 8 * 86_400 }) ?? '', /8 days after its received_at/)
})
