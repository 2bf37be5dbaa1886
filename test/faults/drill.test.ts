import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test, type TestContext } from 'node:test'
import { rehearse } from '../../tools/drill/drill.ts'
import { startEmbeddedStage } from '../../tools/drill/embedded-stage.ts'
import { type Kind, plan } from '../../tools/drill/plan.ts'
import { DrillRecord } from '../../tools/drill/record.ts'
import type { Stage } from '../../tools/drill/stage.ts'
import type { Stretch } from '../../tools/drill/stretch.ts'

/* The drill as a user runs it. Tests that it detects losses are in test/unit/tools/drill/record.test.ts. */

const dir = mkdtempSync(join(tmpdir(), 'firehose-drill-test-'))
after(() => rmSync(dir, { recursive: true }))

test("a drill injects a seed's faults, observes and compares; a later run continues and reports on both", async () => {
  const state = ['--state', join(dir, 'state.jsonl'), '--seed', '7']
  const first = await drill(...state, '--faults', '2')
  assert.equal(first.code, 0, first.output)
  assert.match(first.output, /\n7: 1\/2 .*\n7: 2\/2 .*\n {3}compared: .*0 lost, 0 twice/)
  assert.match(first.output, /\nOK: 0 lost, 0 twice over 2 observed faults \(of 2; seeds 7; [1-9]\d* ack/)
  const second = await drill(...state, '--faults', '3')
  assert.equal(second.code, 0, second.output)
  assert.doesNotMatch(second.output, /\n7: 2\/3/)
  assert.match(second.output, /\n7: 3\/3 .*[^]*\nOK: 0 lost, 0 twice over 3 observed faults/)
})

test('a stack that does not recover is still compared, its data are kept, and no later run is OK', async (t) => {
  const state = join(dir, 'bad.jsonl')
  const seed = seedWhoseSecondIs('api_killed')
  const { places, ...stretch } = await brokenStretch(t, seed, 'api')
  const [skipped, killed, ...others] = stretch.faults
  assert.deepEqual([skipped?.skipped, skipped?.evidence], ['it is forbidden', undefined])
  assert.match(killed?.evidence ?? '', /^process \d+ of API is gone$/)
  assert.deepEqual([killed?.recovered_ms, others], [null, []], 'no further fault is injected')
  assert.equal(stretch.problems.length, 1, stretch.problems.join('\n'))
  assert.match(
    stretch.problems.join(),
    /^fault 2, api_killed .*: not recovered after 3 s\nAPI does not answer/,
  )
  assert.ok(stretch.acked > 0 && stretch.stored >= stretch.acked, 'acknowledged events were compared')
  assert.deepEqual([stretch.lost, stretch.twice], [0, 0])
  const kept = places.flatMap((place) => readdirSync(place))
  for (const name of ['kafka', 'postgres', 'acked-0.tsv', 'producer-api-0.log', 'sink-worker-1.log'])
    assert.ok(kept.includes(name), `${name} is not among ${kept.join(' ')}`)
  assert.ok(places.some((place) => existsSync(join(place, 'postgres', 'data', 'PG_VERSION'))))

  new DrillRecord(state, 'embedded').add(stretch)
  const later = await drill('--state', state, '--seed', String(seed), '--faults', '3')
  assert.equal(later.code, 1, later.output)
  assert.match(later.output, /:\s+3\/3 .*; recovered .*\n {3}compared: .* 0 lost, 0 twice\n/)
  const problem = `PROBLEM  seed ${seed}, faults 1 to 2: fault 2, api_killed`
  assert.ok(later.output.includes(problem), later.output)
  assert.match(
    later.output,
    /\nFAILED: 0 lost, 0 twice over 2 observed faults \(of 3; 1 not possible on this machine; /,
  )
})

test('if PostgreSQL stays down, the missing comparison is a problem too', async (t) => {
  const stretch = await brokenStretch(t, seedWhoseSecondIs('postgres_killed'), 'postgres')
  const [unwell, behind, uncompared, ...others] = stretch.problems
  assert.match(
    unwell ?? '',
    /^fault 2, postgres_killed .*: not recovered after 3 s\n.*\n.*\nPostgreSQL does not/,
  )
  assert.match(behind ?? '', /^after the last fault: .*ECONNREFUSED/)
  assert.match(uncompared ?? '', /^acknowledged events could not be compared: .*ECONNREFUSED/)
  assert.deepEqual(others, [])
  assert.ok(stretch.acked > 0)
})

test('a key gets a new secret under load, and no request of the clients is refused', async () => {
  let seed = 1
  while (plan(seed, 1)[0]?.kind !== 'key_rotated') seed++
  const { code, output } = await drill('--seed', String(seed), '--faults', '1')
  assert.equal(code, 0, output)
  assert.match(
    output,
    /key_rotated +the new secret was accepted after [0-4]\.\d s, and the old one refused after/,
  )
  assert.match(output, /\n {3}compared: [1-9]\d* acknowledged .*0 lost, 0 twice\n/)
})

function seedWhoseSecondIs(kind: Kind): number {
  for (let seed = 1; ; seed++) {
    const [first, second] = plan(seed, 2)
    if (second?.kind === kind && second.moment === 'under_load' && first?.kind !== kind) return seed
  }
}

/** The first two faults of a seed: one marked as not possible, and a kill of a part that is not restarted. */
async function brokenStretch(
  t: TestContext,
  seed: number,
  unstarted: 'api' | 'postgres',
): Promise<Stretch & { places: string[] }> {
  const whole = await startEmbeddedStage()
  const [first] = plan(seed, 1)
  assert.ok(first)
  const stage: Stage = {
    ...whole,
    [unstarted]: { ...whole[unstarted], start: async () => {} },
    unplayable: { [first.kind]: 'it is forbidden' },
    recoveryLimitMs: 3_000,
  }
  const stretches: Stretch[] = []
  const isFine = await rehearse(stage, {
    stage: 'embedded',
    seed,
    from: 0,
    to: 40, // a second stretch would be due
    rate: 200,
    onLog: () => {},
    onStretch: (stretch) => stretches.push(stretch),
    signal: AbortSignal.timeout(120_000),
  })
  const places = stretches.flatMap(({ kept }) => kept?.split(' and ') ?? [])
  t.after(() => {
    for (const place of places) rmSync(place, { recursive: true, force: true })
  })
  assert.equal(isFine, false)
  assert.equal(stretches.length, 1)
  return { ...(stretches[0] as Stretch), places }
}

test('a drill that cannot run reports why in one sentence', async () => {
  const { code, output } = await drill('--seed', 'x')
  assert.equal(code, 64)
  assert.equal(output, '--seed must be a number or a range such as 1-4, not "x". Try --help.\n')
})

test('Ctrl-C ends a drill with 130', async () => {
  const running = drill('--seed', '7', '--faults', '100')
  await running.said('7:   1/100')
  running.child.kill('SIGINT')
  assert.equal((await running).code, 130)
})

/** Runs it without npm, which would add its own output. */
function drill(...args: string[]) {
  const flags = ['--disable-warning=TimeoutNegativeWarning', 'cli/firehose.ts', 'drill']
  const child = spawn(process.execPath, [...flags, ...args])
  let output = ''
  const heard: { text: string; resolve: () => void }[] = []
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk: Buffer) => {
      output += chunk.toString()
      for (const { text, resolve } of heard) if (output.includes(text)) resolve()
    })
  }
  const ended = new Promise<{ code: number | null; output: string }>((resolve) => {
    child.on('close', (code) => resolve({ code, output }))
  })
  const said = async (text: string) =>
    await Promise.race([ended, new Promise<void>((resolve) => heard.push({ text, resolve }))])
  return Object.assign(ended, { child, said })
}
