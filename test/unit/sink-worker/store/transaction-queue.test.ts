import assert from 'node:assert/strict'
import { test } from 'node:test'
import * as fc from 'fast-check'
import { TransactionQueue } from '../../../../sink-worker/store/transaction-queue.ts'

test('items added at once, and items added while a transaction runs, are written together', async () => {
  const gate = Promise.withResolvers<boolean>()
  const groups: number[][] = []
  const queue = new TransactionQueue<number>(async (items) => {
    groups.push([...items])
    return groups.length === 1 ? await gate.promise : true
  })
  const first = [queue.add(1), queue.add(2)]
  await new Promise(setImmediate)
  await new Promise(setImmediate)
  const second = [queue.add(3), queue.add(4)]
  gate.resolve(false)
  assert.deepEqual(await Promise.all(first), [false, false])
  assert.deepEqual(await Promise.all(second), [true, true])
  assert.deepEqual(groups, [
    [1, 2],
    [3, 4],
  ])
})

test('idle() waits for all added items, and resolves at once if there are none', async () => {
  let written = 0
  const queue = new TransactionQueue<number>(async (items) => {
    await new Promise(setImmediate)
    written += items.length
    return true
  })
  await queue.idle()
  const added = queue.add(1).then(async () => await queue.add(2))
  await queue.idle()
  await added
  await queue.idle()
  assert.equal(written, 2)
})

test('between() waits for the running transaction, not for queued ones, and its failure stops nothing', async () => {
  const happened: string[] = []
  const gate = Promise.withResolvers<boolean>()
  const queue = new TransactionQueue<number>(async ([item]) => {
    happened.push(`begin ${item}`)
    if (item === 1) await gate.promise
    happened.push(`end ${item}`)
    return true
  })
  const first = queue.add(1)
  await new Promise(setImmediate)
  await new Promise(setImmediate)
  const second = queue.add(2)
  const look = queue.between(async () => happened.push('look'))
  const failed = queue.between(async () => await Promise.reject(new Error('no')))
  gate.resolve(true)
  await assert.rejects(failed, /no/)
  await Promise.all([first, second, look])
  assert.deepEqual(happened, ['begin 1', 'end 1', 'look', 'begin 2', 'end 2'])
  assert.equal(await queue.between(async () => 7), 7)
})

test('property: each item is written once, in order, one transaction at a time', async () => {
  const pauses = fc.array(fc.nat({ max: 3 }), { maxLength: 30 })
  await fc.assert(
    fc.asyncProperty(pauses, pauses, async (betweenAdds, inWrites) => {
      const written: number[] = []
      let running = 0
      let writes = 0
      const turns = async (count: number): Promise<void> => {
        for (let turn = 0; turn < count; turn++) await new Promise(setImmediate)
      }
      const queue = new TransactionQueue<number>(async (items) => {
        running += 1
        assert.equal(running, 1)
        await turns(inWrites[writes++] ?? 0)
        written.push(...items)
        running -= 1
        return true
      })
      const added: Promise<boolean>[] = []
      for (const [item, pause] of betweenAdds.entries()) {
        added.push(queue.add(item))
        await turns(pause)
      }
      assert.ok((await Promise.all(added)).every(Boolean))
      assert.deepEqual(written, [...betweenAdds.keys()])
    }),
    { numRuns: 200 },
  )
})
