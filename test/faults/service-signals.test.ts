import assert from 'node:assert/strict'
import { after, before, test, type TestContext } from 'node:test'
import { freePorts } from '../../embedded/ports.ts'
import { isAlive, type ProcessId, signal } from '../../embedded/process-info.ts'
import { Pipeline } from '../../tools/stack/pipeline.ts'
import { type Answers, hammer, httpRequest } from '../support/clients.ts'
import { NPX_WAYS, type NpmRun, serviceOf, untilGone, type Way, WAYS } from '../support/npm-run.ts'
import { groupMembers } from '../support/records.ts'
import { until } from '../support/until.ts'

/*
 * I8 for services started by npm or npx, stopped as people and supervisors do: the service receives the same signal twice or three
 * times, or only npm receives it, or neither does. Each counts as one request for a clean shutdown.
 */

let pipeline: Pipeline
const services: ProcessId[] = []

before(async () => {
  pipeline = await Pipeline.start()
})
after(async () => {
  for (const id of services) if (isAlive(id)) signal(id.pid, 'SIGKILL')
  await pipeline?.close()
})

const SCRIPTS = {
  api: { program: 'cli/firehose.ts api', portVariable: 'PORT' },
  sink: { program: 'cli/firehose.ts sink', portVariable: 'SINK_PORT' },
}
/** Responses, or a refused connection, in which case nothing was sent. */
const IS_WELL = /^(?:202|503|ECONNREFUSED)$/
const CLIENTS = 50
const EVENT = httpRequest('/event', '{"user_id":1,"timestamp":"2026-01-02T03:04:05Z","metadata":{}}')

for (const [name, way] of Object.entries(WAYS)) {
  const skip = way.needs ?? false

  test(
    `I8: npm run api under load, stopped by ${name}: every request is answered`,
    { skip },
    async (t) => await stopApiUnderLoad(way, t),
  )

  test(`I8: npm run sink, stopped by ${name}: it leaves its group`, { skip }, async () => {
    const { run, service } = await startScript(way, 'sink')
    way.end(run)
    await untilGone(service)
    assert.deepEqual(await groupMembers(pipeline.backend.kafka.bootstrapServers), [])
    await assertOneRequest(way, run)
  })
}

for (const [name, way] of Object.entries(NPX_WAYS)) {
  test(`I8: npx firehose api under load, stopped by ${name}: every request is answered`, async (t) =>
    await stopApiUnderLoad(way, t))
}

async function stopApiUnderLoad(way: Way, t: TestContext): Promise<void> {
  const { run, service, url } = await startScript(way, 'api')
  const clients = startClients(url)
  try {
    await until('load', () => clients.asked() > 20 * CLIENTS)
    way.end(run)
    await untilGone(service)
  } finally {
    clients.stop()
  }
  const answers = await clients.answers
  t.diagnostic(JSON.stringify(answers))
  assert.equal(answersMissing(answers), 0, JSON.stringify(answers))
  await assertOneRequest(way, run)
  if (way.losesOutput) return
  const accepted = /"accepted":(\d+),"msg":"stopped"/.exec(run.output())?.[1]
  assert.equal(Number(accepted), answers['202'], 'the number accepted is the number of 202s')
}

async function startScript(
  way: Way,
  script: keyof typeof SCRIPTS,
): Promise<{ run: NpmRun; service: ProcessId; url: string }> {
  const [port = 0] = await freePorts(1)
  const { program, portVariable } = SCRIPTS[script]
  const run = way.start([script], { ...pipeline.env, [portVariable]: String(port) })
  const url = `http://127.0.0.1:${port}`
  await until(`${script} is ready`, async () => {
    assert.equal(run.top.exitCode, null, run.output())
    return (await fetch(`${url}/readyz`).catch(() => undefined))?.ok
  })
  const service = await serviceOf(run, program)
  services.push(service)
  return { run, service, url }
}

/** Clients that each send the next event when the previous one has been answered. */
function startClients(url: string): { answers: Promise<Answers>; asked: () => number; stop: () => void } {
  let asked = 0
  let isOver = false
  const answers = hammer(url, CLIENTS, [EVENT], (count) => {
    asked = count
    return !isOver
  })
  return { answers, asked: () => asked, stop: () => (isOver = true) }
}

/** Asserts that the script ended as expected, and was asked to stop once. */
async function assertOneRequest({ code, losesOutput }: Way, run: NpmRun): Promise<void> {
  const ended = await run.ended
  if (code !== undefined) assert.equal(ended, code, run.output())
  if (losesOutput) return
  // Not the details of refused requests, which say so, too.
  const messages = run.output().match(/(?<="msg":")(shutting down|another signal received)/g)
  assert.deepEqual(messages, ['shutting down'], run.output())
}

function answersMissing(answers: Answers): number {
  const missing = Object.entries(answers).filter(([answer]) => !IS_WELL.test(answer))
  return missing.reduce((sum, [, count]) => sum + count, 0)
}
