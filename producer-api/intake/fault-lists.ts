import type { ServerResponse } from 'node:http'
import type { MemoryBudget } from '../memory-budget.ts'
import type { ProblemError } from '../http/problem.ts'

/** What JSON puts around a pointer and a detail. */
const AROUND_BYTES = 32

/**
 * The faults that an answer may list. A list can be thirty times as long as the request that it answers, and waits in
 * memory until the client reads it: so all lists share a budget, and past it an answer comes without one (I7).
 */
export class FaultLists {
  readonly #budget: MemoryBudget

  constructor(budget: MemoryBudget) {
    this.#budget = budget
  }

  /** The errors, charged until the response is sent or given up; undefined when there is no room for them. */
  within(response: ServerResponse, errors: ProblemError[]): ProblemError[] | undefined {
    let bytes = 0
    for (const { pointer, detail } of errors) bytes += pointer.length + detail.length + AROUND_BYTES
    if (!this.#budget.take(bytes)) return undefined
    response.once('close', () => this.#budget.giveBack(bytes))
    return errors
  }
}
