import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { splitEvents } from '../../../../tools/send/split-events.ts'

async function split(...chunks: (string | Buffer)[]): Promise<string[]> {
  const source = async function* (): AsyncGenerator<Buffer> {
    for (const chunk of chunks) yield Buffer.from(chunk)
  }
  const events: string[] = []
  for await (const event of splitEvents(source())) events.push(event.toString('latin1'))
  return events
}

test('each line is an event, however the text is cut into chunks', async () => {
  const lines = ['{"a":1}', '', '{"b":"\u2028"}\r', ' \t', 'not JSON', '{"c":3}']
  const bytes = Buffer.from(lines.join('\n'))
  const expected = ['{"a":1}', '{"b":"\u2028"}\r', 'not JSON', '{"c":3}']
  const latin1 = expected.map((line) => Buffer.from(line).toString('latin1'))
  await fc.assert(
    fc.asyncProperty(fc.array(fc.nat(bytes.length)), async (cuts) => {
      const ends = [...cuts.toSorted((a, b) => a - b), bytes.length]
      const chunks = ends.map((end, i) => bytes.subarray(ends[i - 1] ?? 0, end))
      assert.deepEqual(await split(...chunks), latin1)
    }),
  )
})

test('an event may take several lines if it is alone', async () => {
  assert.deepEqual(await split('\n{\n  "a": 1,\n\n', '  "b": 2\n}'), ['{\n  "a": 1,\n\n  "b": 2\n}\n'])
})

test('bytes that are not UTF-8 are not replaced', async () => {
  assert.deepEqual(await split(Buffer.from([0x22, 0xff, 0x22])), ['"\xff"\n'])
})

test('without text there is no event, and an endless text is given up', async () => {
  assert.deepEqual(await split('', ' \n\n'), [])
  const [given, ...more] = await split('x\n', ...Array.from({ length: 30 }, () => `${'y'.repeat(100_000)}\n`))
  assert.ok((given?.length ?? 0) < 1_200_000)
  assert.deepEqual(more, [])
})

test('an endless line is given up before its end', async () => {
  let given = 0
  const endless = async function* (): AsyncGenerator<Buffer> {
    for (; given < 100; given++) yield Buffer.alloc(100_000, 'y')
  }
  const sizes: number[] = []
  for await (const event of splitEvents(endless())) sizes.push(event.length)
  assert.deepEqual([sizes.length, given < 20], [1, true])
})
