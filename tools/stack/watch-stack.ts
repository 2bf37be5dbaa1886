import { ClusterInspector } from '../../kafka/cluster-inspector.ts'
import { createLogger } from '../../platform/log.ts'
import { abortable } from './abortable.ts'
import type { DemoStack } from '../demo/demo-stack.ts'
import type { LoadTick } from '../load/load-thread.ts'
import type { SinkHealth } from './sink-health.ts'
import { nextPoint, type Point, type Timeline } from '../demo/timeline.ts'

const TICK_MS = 1000

/** Where what is seen is shown. */
export interface WatchListener {
  onPoint(point: Point): void
  /** The sinks' state changed. */
  onState(atS: number, state: string): void
}

/**
 * Looks at a stack once a second, as the load's ticks come, and keeps the timeline. The lag is taken from Kafka: while a
 * sink is paused it fetches nothing, and what it says of the topic's end grows old.
 */
export class StackWatch {
  readonly timeline: Timeline = { points: [], moments: {} }
  readonly #stack: DemoStack
  readonly #listener: WatchListener
  readonly #cluster: ClusterInspector
  #beganMs: number | undefined
  readonly #nextOffsets = new Map<number, number>()
  #state = 'running'
  #pending: LoadTick = { sent: 0, acked: 0, failed: 0, latenciesMs: [] }
  #isLooking = false
  #ticker: NodeJS.Timeout | undefined
  #seen = Promise.withResolvers<void>()

  private constructor(stack: DemoStack, listener: WatchListener) {
    this.#stack = stack
    this.#listener = listener
    const connection = { brokers: [stack.kafkaBootstrapServers], ssl: false, sasl: undefined }
    this.#cluster = new ClusterInspector(connection, 'firehose-demo', createLogger('demo', 'silent'))
  }

  /** Time begins with the load. */
  static async open(stack: DemoStack, listener: WatchListener): Promise<StackWatch> {
    const watch = new StackWatch(stack, listener)
    await watch.#cluster.connect()
    return watch
  }

  get nowS(): number {
    return this.#beganMs === undefined ? 0 : (performance.now() - this.#beganMs) / 1000
  }

  /** Takes what the load counted and looks at the rest. A tick that comes while the last look lasts is added to the next. */
  readonly tick = (tick: LoadTick): void => {
    this.#beganMs ??= performance.now() - TICK_MS // the first tick comes when the load is as old as that
    this.#pending = { ...tick, latenciesMs: [...this.#pending.latenciesMs, ...tick.latenciesMs] }
    void this.#look()
  }

  /** From now on there is no load: ticks by itself. */
  tickAlone(): void {
    this.#ticker = setInterval(() => void this.#look(), TICK_MS)
  }

  /**
   * Waits until the condition holds; it is asked after each look.
   *
   * @throws after `limitS`, with `what`; when the signal aborts
   */
  async until(what: string, condition: () => boolean, limitS: number, signal: AbortSignal): Promise<void> {
    const endS = this.nowS + limitS
    while (!condition()) {
      if (this.nowS > endS) throw new Error(`Waited ${limitS} s in vain until ${what}.`)
      await abortable(this.#seen.promise, signal)
    }
  }

  async close(): Promise<void> {
    clearInterval(this.#ticker)
    await this.#cluster.close()
  }

  async #look(): Promise<void> {
    if (this.#isLooking) return
    this.#isLooking = true
    const atS = this.nowS
    const { sent, acked, failed, latenciesMs } = this.#pending
    this.#pending = { ...this.#pending, latenciesMs: [] }
    const [health, ends] = await Promise.all([this.#stack.sinkHealth(), this.#topicEnds()])
    const stored = health.length === 0 ? undefined : sum(health.map(({ total_stored }) => total_stored))
    const lag = health.length === 0 || ends === undefined ? undefined : this.#lag(health, ends)
    const now = { atS, sent, acked, failed, latenciesMs, stored, lag }
    const point = nextPoint(this.timeline.points.at(-1), now)
    this.timeline.points.push(point)
    this.#listener.onPoint(point)
    this.#noteState(atS, health)
    this.#isLooking = false
    this.#seen.resolve()
    this.#seen = Promise.withResolvers()
  }

  async #topicEnds(): Promise<Map<number, number> | undefined> {
    try {
      const ends = await this.#cluster.ends(this.#stack.topic)
      return new Map([...ends].map(([partition, { lastStable }]) => [partition, Number(lastStable)]))
    } catch {
      return undefined
    }
  }

  /** A sink that reads its positions again lists no partitions for a moment: the last known ones hold. */
  #lag(health: readonly SinkHealth[], ends: ReadonlyMap<number, number>): number {
    for (const { partition, next_offset } of health.flatMap(({ partitions }) => partitions)) {
      this.#nextOffsets.set(partition, Math.max(next_offset, this.#nextOffsets.get(partition) ?? 0))
    }
    // Asked a moment apart: a sink may be past the end that Kafka named.
    return sum(
      [...ends].map(([partition, end]) => Math.max(0, end - (this.#nextOffsets.get(partition) ?? 0))),
    )
  }

  #noteState(atS: number, health: readonly SinkHealth[]): void {
    const odd = health.find(({ state }) => state !== 'running' && state !== 'starting')
    const state = health.length === 0 ? 'does not answer' : (odd?.state ?? 'running')
    if (state === this.#state) return
    this.#state = state
    this.#listener.onState(atS, `sink ${state}${odd?.reason === undefined ? '' : `: ${odd.reason}`}`)
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0)
}
