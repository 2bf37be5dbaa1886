import { setTimeout as delay } from 'node:timers/promises'
import pg from 'pg'
import type { Fault, Kind, Moment } from './plan.ts'
import type { Part, Stage } from './stage.ts'
import type { Link, TcpProxy } from './tcp-proxy.ts'

/**
 * Does the fault and undoes it.
 *
 * @returns what was observed of it, in words; undefined when nothing was, and the fault does not count
 */
type Strike = (scene: Scene) => Promise<string | undefined>

/** A moment that does not come, or an effect that does not show, within this time is given up. */
const WAIT_MS = 20_000
/** Shorter than any timeout of the stage. */
const BRIEF_MS = 800
/** Longer than the session timeout (2 s) and PostgreSQL's silence (1 s); */
const LONG_MS = 4_000
/** and than the age (5 s) from which a sink ends a frozen rival's session. */
const SINK_LONG_MS = 8_000
const LATE_MS = 300

/** @returns what was observed, or undefined */
export async function strike(stage: Stage, fault: Fault, signal: AbortSignal): Promise<string | undefined> {
  const scene = new Scene(stage, fault, signal)
  try {
    return await STRIKES[fault.kind](scene)
  } catch (error) {
    if (error instanceof MomentMissedError) return undefined
    throw error
  } finally {
    scene.letGo()
  }
}

/** The moment did not come: nothing was done. */
class MomentMissedError extends Error {}

/** One fault's stage, aim and patience. */
class Scene {
  readonly stage: Stage
  readonly fault: Fault
  readonly signal: AbortSignal
  #caught: Link | undefined

  constructor(stage: Stage, fault: Fault, signal: AbortSignal) {
    this.stage = stage
    this.fault = fault
    this.signal = signal
  }

  get sink() {
    return this.stage.sinks[this.fault.sink]
  }

  /** Waits until the moment is there. The connection at which it is stands still until letGo(). @throws {MomentMissedError} */
  async moment(): Promise<void> {
    const { moment } = this.fault
    if (moment === 'under_load') return
    const limit = AbortSignal.timeout(WAIT_MS)
    try {
      this.#caught = await this.#proxyOf(moment).holdAt(moment, AbortSignal.any([this.signal, limit]))
    } catch (error) {
      throw limit.aborted ? new MomentMissedError() : error
    }
  }

  get caught(): Link | undefined {
    return this.#caught
  }

  /** What stood still goes on, or is lost, as the plan says. */
  letGo(arrives = this.fault.arrives): void {
    if (arrives) this.#caught?.release()
    else this.#caught?.cut()
  }

  /** Waits for what shows the effect. */
  async seen(
    look: () => Promise<string | undefined> | string | undefined,
    limitMs = WAIT_MS,
  ): Promise<string | undefined> {
    const endMs = performance.now() + limitMs
    while (performance.now() < endMs) {
      const found = await look()
      if (found !== undefined) return found
      await delay(20, undefined, { signal: this.signal })
    }
    return undefined
  }

  async pause(ms: number): Promise<void> {
    await delay(ms, undefined, { signal: this.signal })
  }

  /** What the sinks say of why they pause. */
  async pauseReason(pattern: RegExp): Promise<string | undefined> {
    const healths = await Promise.all(this.stage.sinks.map(async ({ service }) => await service.health()))
    return healths
      .map((health) => health?.reason)
      .find((reason): reason is string => typeof reason === 'string' && pattern.test(reason))
  }

  #proxyOf(moment: Moment): TcpProxy {
    if (moment === 'before_http_answer') return this.stage.httpProxy
    if (moment === 'before_produce_answer') return this.stage.kafkaProxy
    return this.sink.proxy
  }
}

type PartOf = (scene: Scene) => Part
const api: PartOf = ({ stage }) => stage.api
const sink: PartOf = (scene) => scene.sink
const kafka: PartOf = ({ stage }) => stage.kafka
const postgres: PartOf = ({ stage }) => stage.postgres

function killed(partOf: PartOf): Strike {
  return async (scene) => {
    const part = partOf(scene)
    await scene.moment()
    const pid = part.pid()
    await part.kill()
    scene.letGo()
    const evidence = await silent(part, pid)
    await part.start()
    return evidence
  }
}

function ended(partOf: PartOf): Strike {
  return async (scene) => {
    const part = partOf(scene)
    await scene.moment()
    const pid = part.pid()
    const ending = part.stop()
    if (scene.fault.arrives) scene.letGo() // in time for an orderly end
    await ending
    scene.letGo()
    const evidence = await silent(part, pid)
    await part.start()
    return evidence
  }
}

function frozen(partOf: PartOf, forMs: number): Strike {
  return async (scene) => {
    const part = partOf(scene)
    await scene.moment()
    await part.freeze()
    if (scene.fault.arrives) scene.letGo() // to be found when it thaws
    try {
      const frozenMs = performance.now()
      const evidence = await silent(part, undefined)
      await scene.pause(Math.max(0, forMs - (performance.now() - frozenMs)))
      return evidence && `${evidence} for ${forMs} ms`
    } finally {
      await part.thaw()
      scene.letGo(true)
    }
  }
}

/** The observed effect on a part: it does not answer, and the process it was is gone. */
async function silent(part: Part, pid: number | undefined): Promise<string | undefined> {
  if (await part.answers()) return undefined
  if (pid === undefined) return `${part.name} did not answer`
  return isAlive(pid) ? undefined : `${part.name}, process ${pid}, was gone`
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

const backendTerminated: Strike = async (scene) => {
  await scene.moment()
  const admin = await connect(scene.stage)
  try {
    const sessions = await admin.query<{ pid: number }>(
      `SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'firehose-sink'`,
    )
    const pids = sessions.rows.map(({ pid }) => pid)
    return await scene.seen(async () => {
      const left = await admin.query('SELECT FROM pg_stat_activity WHERE pid = ANY($1)', [pids])
      return left.rowCount === 0 && pids.length > 0
        ? `${pids.length} sessions of the sinks were ended`
        : undefined
    })
  } finally {
    await admin.end()
    scene.letGo()
  }
}

const tableLocked: Strike = async (scene) => {
  await scene.moment()
  const locker = await connect(scene.stage)
  try {
    await locker.query('BEGIN; LOCK TABLE events IN ACCESS EXCLUSIVE MODE')
    scene.letGo(true)
    const evidence = await scene.seen(async () => {
      const { rowCount } = await locker.query(
        `SELECT FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted AND application_name = 'firehose-sink'`,
      )
      return rowCount ? 'a sink waited for the lock' : undefined
    })
    await scene.pause(2_000)
    return evidence
  } finally {
    await locker.end()
    scene.letGo(true)
  }
}

const diskFull: Strike = async (scene) => {
  const { disk, postgres: part } = scene.stage
  if (disk === undefined) return undefined
  await scene.moment()
  disk.fill()
  try {
    scene.letGo(true)
    return await scene.seen(async () => {
      const reason = await scene.pauseReason(/No space left|could not extend/i)
      if (reason !== undefined) return `a sink paused: ${reason}`
      return (await part.answers()) ? undefined : 'PostgreSQL ended itself'
    })
  } finally {
    disk.free()
    if ((await scene.seen(async () => ((await part.answers()) ? 'yes' : undefined), 3_000)) === undefined) {
      await part.kill()
      await part.start()
    }
  }
}

const connectionsExhausted: Strike = async (scene) => {
  const taken: pg.Client[] = []
  const takeAll = async () => {
    for (;;) {
      try {
        taken.push(await connect(scene.stage))
      } catch (error) {
        if ((error as { code?: string }).code === '53300') return
        throw error
      }
    }
  }
  await scene.moment()
  try {
    await takeAll()
    // The sinks' places are free for a moment: whoever is quicker has them.
    return await scene.seen(async () => {
      await taken[0]?.query(
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'firehose-sink'`,
      )
      scene.letGo()
      await takeAll()
      const reason = await scene.pauseReason(/too many clients|remaining connection slots/)
      return reason && `a sink paused: ${reason}`
    })
  } finally {
    await Promise.all(taken.map(async (client) => await client.end()))
    scene.letGo()
  }
}

async function connect(stage: Stage): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: stage.pipeline.backend.postgres.url })
  client.on('error', () => {})
  await client.connect()
  return client
}

type LinksOf = (scene: Scene) => Link[]
const sinkToPostgres: LinksOf = (scene) => (scene.caught ? [scene.caught] : scene.sink.proxy.links())
const sinksToKafka: LinksOf = ({ stage }) => stage.kafkaProxy.links('firehose-sink')
const apiToKafka: LinksOf = ({ stage }) => stage.kafkaProxy.links('firehose-api')
const clientsToApi: LinksOf = ({ stage }) => stage.httpProxy.links()

function cut(linksOf: LinksOf): Strike {
  return async (scene) => {
    await scene.moment()
    const links = await someLinks(scene, linksOf)
    for (const link of links) link.cut()
    scene.letGo()
    const evidence = await scene.seen(() =>
      links.every((link) => link.closed.size === 2) ? 'broken' : undefined,
    )
    return links.length === 0 ? undefined : evidence && `${links.length} connections were broken`
  }
}

function halfOpen(linksOf: LinksOf): Strike {
  return async (scene) => {
    await scene.moment()
    const links = await someLinks(scene, linksOf)
    for (const link of links) link.hold()
    await scene.pause(SINK_LONG_MS)
    const held = disturbances(links)
    const givenUp = links.filter((link) => link.closed.has('client')).length
    for (const link of links) {
      if (scene.fault.arrives) link.release()
      else link.cut()
    }
    scene.letGo()
    return held + givenUp === 0
      ? undefined
      : `${held} messages stood still, ${givenUp} connections were given up`
  }
}

function delayed(linksOf: LinksOf): Strike {
  return async (scene) => {
    await scene.moment()
    const links = await someLinks(scene, linksOf)
    const before = disturbances(links)
    for (const link of links) link.delayMs = LATE_MS
    await scene.pause(3_000)
    for (const link of links) link.delayMs = 0
    const late = disturbances(links) - before
    return late === 0 ? undefined : `${late} messages came ${LATE_MS} ms late`
  }
}

/** There may be none just now: the one before broke. */
async function someLinks(scene: Scene, linksOf: LinksOf): Promise<Link[]> {
  await scene.seen(() => (linksOf(scene).length > 0 ? 'some' : undefined), 5_000)
  return linksOf(scene)
}

function disturbances(links: readonly Link[]): number {
  return links.reduce((sum, link) => sum + link.disturbed, 0)
}

const responseLost: Strike = async (scene) => {
  await scene.moment()
  const { caught } = scene
  caught?.cut()
  return caught?.disturbed ? 'the answer was on its way and did not arrive' : undefined
}

const twoSinks: Strike = async (scene) => {
  const { stage } = scene
  const before = await stage.fencesLost()
  await stage.startRival()
  try {
    await scene.moment()
    const releaseMs = performance.now() + SINK_LONG_MS
    const evidence = await scene.seen(async () => {
      if (scene.caught?.closed.has('server')) return "the rival ended the sink's session"
      if (performance.now() > releaseMs) scene.letGo(true)
      return (await stage.fencesLost()) > before ? 'a sink found its range written by another' : undefined
    })
    scene.letGo(true)
    return evidence
  } finally {
    await stage.stopRival()
  }
}

const rollingRestart: Strike = async ({ stage }) => {
  const parts = [...stage.sinks, stage.api]
  const before = parts.map((part) => part.pid())
  for (const part of parts) {
    await part.stop()
    await part.start()
  }
  const isNew = parts.every((part, index) => part.pid() !== before[index])
  return isNew ? `${parts.map(({ name }) => name).join(', ')} were replaced one after the other` : undefined
}

const STRIKES: Record<Kind, Strike> = {
  api_killed: killed(api),
  api_ended: ended(api),
  api_frozen_briefly: frozen(api, BRIEF_MS),
  api_frozen_long: frozen(api, LONG_MS),
  sink_killed: killed(sink),
  sink_ended: ended(sink),
  sink_frozen_briefly: frozen(sink, BRIEF_MS),
  sink_frozen_long: frozen(sink, SINK_LONG_MS),
  kafka_killed: killed(kafka),
  kafka_ended: ended(kafka),
  kafka_frozen_briefly: frozen(kafka, BRIEF_MS),
  kafka_frozen_long: frozen(kafka, LONG_MS),
  postgres_killed: killed(postgres),
  postgres_ended: ended(postgres),
  postgres_frozen_briefly: frozen(postgres, BRIEF_MS),
  postgres_frozen_long: frozen(postgres, LONG_MS),
  backend_terminated: backendTerminated,
  table_locked: tableLocked,
  disk_full: diskFull,
  connections_exhausted: connectionsExhausted,
  sink_postgres_cut: cut(sinkToPostgres),
  sink_postgres_half_open: halfOpen(sinkToPostgres),
  sink_postgres_delayed: delayed(sinkToPostgres),
  sink_kafka_cut: cut(sinksToKafka),
  sink_kafka_half_open: halfOpen(sinksToKafka),
  sink_kafka_delayed: delayed(sinksToKafka),
  api_kafka_cut: cut(apiToKafka),
  api_kafka_half_open: halfOpen(apiToKafka),
  api_kafka_delayed: delayed(apiToKafka),
  client_api_cut: cut(clientsToApi),
  client_api_half_open: halfOpen(clientsToApi),
  client_api_delayed: delayed(clientsToApi),
  response_lost: responseLost,
  two_sinks: twoSinks,
  rolling_restart: rollingRestart,
}
