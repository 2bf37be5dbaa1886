import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BodyBuffer } from '../../../../producer-api/http/read-body.ts'
import { MemoryBudget } from '../../../../producer-api/memory-budget.ts'

test('I7: however a body is split, it is read correctly, takes at most twice its length, and is released', () => {
  const cut = fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 200 })
  fc.assert(
    fc.property(cut, fc.nat(100), (pieces, spare) => {
      const whole = Buffer.concat(pieces)
      const budget = new MemoryBudget(Number.MAX_SAFE_INTEGER)
      const body = new BodyBuffer(whole.length + spare, budget)
      for (const piece of pieces) {
        // In separate memory, as from Node's parser.
        const chunk = Buffer.from(piece)
        assert.equal(body.append(chunk), true)
        assert.ok(budget.usedBytes <= 2 * body.length)
      }
      const bytes = body.bytes
      assert.deepEqual(Buffer.from(bytes), whole)
      assert.ok(bytes.buffer.byteLength <= Math.max(2 * whole.length, Buffer.poolSize))
      body.release()
      assert.equal(budget.usedBytes, 0)
      assert.deepEqual(Buffer.from(bytes), whole, 'the view is still valid')
    }),
  )
})

test('a chunk that does not fit in the budget is refused, and earlier chunks are kept', () => {
  const budget = new MemoryBudget(10)
  const body = new BodyBuffer(100, budget)
  assert.equal(body.append(Buffer.from('12345')), true)
  assert.equal(body.append(Buffer.from('6')), false)
  assert.equal(body.bytes.toString(), '12345')
  body.release()
  assert.equal(budget.usedBytes, 0)
})
