import assert from 'node:assert/strict'
import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { after, before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { spawnGuard } from '../../tools/stack/guard.ts'
import { load } from '../../tools/load/load.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { copyOfProject } from '../support/project-copy.ts'
import { caughtUp } from '../support/sink-health.ts'
import { until } from '../support/until.ts'

/* A mistake in a service: it says so and ends, instead of taking it for an outage; nothing is lost by that. */

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const EX_SOFTWARE = 70

let pipeline: Pipeline

before(async () => {
  pipeline = await Pipeline.start({ KAFKA_TOPIC_PARTITIONS: '1' })
})
after(async () => {
  await pipeline?.close()
})

test('I2: a sink whose invariant breaks says so and exits with 70; started again, it stores each event once', async () => {
  const copy = copyOfProject()
  const guard = spawnGuard(copy)
  try {
    // While the file is there, each transaction of the copied sink breaks an invariant after its COPY.
    const switchedOn = join(copy, 'broken')
    writeFileSync(switchedOn, '')
    change(join(copy, 'sink-worker/store/write-batch.ts'), [
      [
        'import { insertDeadLetters }',
        "import { existsSync } from 'node:fs'\nimport { InvariantError } from '../../platform/errors.ts'\nimport { insertDeadLetters }",
      ],
      [
        '    await insertDeadLetters(db, identity, dead)\n',
        `    if (existsSync('${switchedOn}')) throw new InvariantError('broken on purpose')\n    await insertDeadLetters(db, identity, dead)\n`,
      ],
    ])
    const api = await pipeline.startApi()
    const main = relative(ROOT, join(copy, 'sink-worker/main.ts'))
    const sink = await pipeline.startService(main, 'SINK_PORT')
    await caughtUp(sink)
    const ackedFile = pipeline.path('acked.tsv')
    const { exited } = sink
    const { acked } = await load({ url: api.url, rate: 500, connections: 10, seconds: 2, ackedFile })
    assert.equal(acked, 1_000)
    assert.equal((await exited).code, EX_SOFTWARE)
    const last = sink
      .lastLines()
      .map((line) => JSON.parse(line) as { level: string; msg: string; error?: object })
    const fatal = last.find(({ level }) => level === 'fatal')
    assert.match(fatal?.msg ?? '', /a mistake in Firehose/)
    assert.deepEqual(fatal?.error && { ...fatal.error, stack: [] }, {
      name: 'InvariantError',
      message: 'broken on purpose',
      stack: [],
    })
    assert.equal(await pipeline.countEvents(), 0, 'what it had copied was rolled back')

    rmSync(switchedOn)
    await sink.start()
    await until('all are stored', async () => (await pipeline.countEvents()) === 1_000)
    const verdict = await pipeline.verify(ackedFile)
    assert.ok(verdict.ok, JSON.stringify(verdict))
    assert.equal(verdict.duplicates, 0)
  } finally {
    rmSync(copy, { recursive: true, force: true })
    guard.stdin?.end()
  }
})

function change(file: string, changes: readonly [from: string, to: string][]): void {
  let text = readFileSync(file, 'utf8')
  for (const [from, to] of changes) {
    assert.ok(text.includes(from), from)
    text = text.replace(from, to)
  }
  writeFileSync(file, text)
}
