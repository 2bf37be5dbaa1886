import { setTimeout as delay } from 'node:timers/promises'
import type { Fault, Moment } from './plan.ts'
import type { Stage } from './stage.ts'
import type { Link, TcpProxy } from './tcp-proxy.ts'

/**
 * Injects a fault and undoes it.
 *
 * @returns a description of the observed effect; undefined if none was observed and the fault does not count
 */
export type Strike = (scene: Scene) => Promise<string | undefined>

/** How long to wait for a moment or an effect. */
const WAIT_MS = 20_000

/** The moment did not come, so nothing was done. */
export class MomentMissedError extends Error {}

/** The context of one fault. */
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

  /** Waits for the moment. Its connection is held until endHold(). @throws {MomentMissedError} after WAIT_MS */
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

  /** Ends the hold: delivers or drops the held data, as planned. */
  endHold(arrives = this.fault.arrives): void {
    if (arrives) this.#caught?.release()
    else this.#caught?.cut()
  }

  /** Polls until `look` returns a value. @returns undefined after `limitMs` */
  async poll<T>(
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

  /** The reason of a sink that is not running, if one matches. */
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
