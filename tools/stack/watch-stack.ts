import { ClusterInspector } from '../../kafka/cluster-inspector.ts'
import { createLogger } from '../../platform/log.ts'
import { abortable } from './abortable.ts'
import type { DemoStack } from '../demo/demo-stack.ts'
import type { LoadTick } from '../load/load-thread.ts'
import type { SinkHealth } from './sink-health.ts'
import { nextPoint, type Point, type Timeline } from '../demo/timeline.ts'

const TICK_MS = 1000

/** Receives what is observed. */
export interface WatchListener {
  onPoint(point: Point): void
  /** Called when the sinks' state has changed. */
  onState(atS: number, state: string): void
}

/**
 * Observes a stack once a second, on the load's ticks, and records the timeline. The lag is computed from Kafka's end
 * offsets, because a paused sink fetches nothing and its own figure is out of date.
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

  /** Connects to Kafka. Time is counted from the start of the load. */
  static async open(stack: DemoStack, listener: WatchListener): Promise<StackWatch> {
    const watch = new StackWatch(stack, listener)
    await watch.#cluster.connect()
    return watch
  }

  get nowS(): number {
    return this.#beganMs === undefined ? 0 : (performance.now() - this.#beganMs) / 1000
  }

  /** Adds the load's counts and observes the rest. A tick during an observation is added to the next one. */
  readonly tick = (tick: LoadTick): void => {
    this.#beganMs ??= performance.now() - TICK_MS // the first tick comes one interval after the start
    this.#pending = { ...tick, latenciesMs: [...this.#pending.latenciesMs, ...tick.latenciesMs] }
    void this.#look()
  }

  /** Ticks by itself, for the time after the load. */
  tickAlone(): void {
    this.#ticker = setInterval(() => void this.#look(), TICK_MS)
  }

  /**
   * Waits until the condition holds; it is checked after each observation.
   *
   * @throws after `limitS`, with `what` in the message; the signal's reason
   */
  async until(what: string, condition: () => boolean, limitS: number, signal: AbortSignal): Promise<void> {
    const endS = this.nowS + limitS
    while (!condition()) {
      if (this.nowS > endS) throw new Error(`Timed out after ${limitS} s waiting until ${what}.`)
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

  /** A sink that is reading its positions briefly lists no partitions: the last known offsets are used. */
  #lag(health: readonly SinkHealth[], ends: ReadonlyMap<number, number>): number {
    for (const { partition, next_offset } of health.flatMap(({ partitions }) => partitions)) {
      this.#nextOffsets.set(partition, Math.max(next_offset, this.#nextOffsets.get(partition) ?? 0))
    }
    // Queried at different moments: a sink may already be past the end offset.
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
