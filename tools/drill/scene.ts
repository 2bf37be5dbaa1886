import { setTimeout as delay } from 'node:timers/promises'
import type { Fault, Moment } from './plan.ts'
import type { Stage } from './stage.ts'
import type { Link, TcpProxy } from './tcp-proxy.ts'

/**
 * Does the fault and undoes it.
 *
 * @returns what was observed of it, in words; undefined when nothing was, and the fault does not count
 */
export type Strike = (scene: Scene) => Promise<string | undefined>

/** A moment that does not come, or an effect that does not show, within this time is given up. */
const WAIT_MS = 20_000

/** The moment did not come: nothing was done. */
export class MomentMissedError extends Error {}

/** One fault's stage, aim and patience. */
export class Scene {
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
  async seen<T>(
    look: () => Promise<T | undefined> | T | undefined,
    limitMs = WAIT_MS,
  ): Promise<T | undefined> {
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
    const healths = await Promise.all(this.stage.sinks.map(async (sink) => await sink.health()))
    return healths
      .map((health) => (health?.state === 'running' ? undefined : health?.reason))
      .find((reason): reason is string => typeof reason === 'string' && pattern.test(reason))
  }

  #proxyOf(moment: Moment): TcpProxy {
    const { httpProxy, kafkaProxy } = this.stage
    const proxies: Partial<Record<Moment, TcpProxy | undefined>> = {
      before_http_answer: httpProxy,
      before_produce_answer: kafkaProxy,
    }
    const proxy = moment in proxies ? proxies[moment] : this.sink.proxy
    if (proxy === undefined) throw new Error(`this stage has no proxy for ${moment}`)
    return proxy
  }
}
