import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import type { ServerResponse } from 'node:http'
import { test } from 'node:test'
import { FaultLists } from '../../../../producer-api/intake/fault-lists.ts'
import { MemoryBudget } from '../../../../producer-api/memory-budget.ts'

test('I7: fault lists share a budget until their responses are sent; without room there is no list', () => {
  const budget = new MemoryBudget(1_000)
  const lists = new FaultLists(budget)
  const response = (): ServerResponse => new EventEmitter() as ServerResponse
  const errors = [{ pointer: '/user_id', detail: 'x'.repeat(400) }]
  const first = response()
  assert.equal(lists.within(first, errors), errors)
  assert.equal(lists.within(response(), errors), errors)
  assert.equal(lists.within(response(), errors), undefined)
  first.emit('close')
  assert.equal(lists.within(response(), errors), errors)
  assert.ok(budget.usedBytes <= 1_000)
})
