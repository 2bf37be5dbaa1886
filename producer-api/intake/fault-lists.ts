import type { ServerResponse } from 'node:http'
import type { MemoryBudget } from '../memory-budget.ts'
import type { ProblemError } from '../http/problem.ts'

/** JSON syntax and names around a pointer and a detail. */
const OVERHEAD_BYTES = 32

/** About how much memory a list takes. */
export function listBytes(errors: readonly ProblemError[]): number {
  let bytes = 0
  for (const { pointer, detail } of errors) bytes += pointer.length + detail.length + OVERHEAD_BYTES
  return bytes
}

/**
 * Limits the memory of fault lists in responses (I7). A list can be thirty times as large as its request and stays in
 * memory until the client reads it, so all lists share a budget. When it is used up, responses are sent without a list.
 */
export class FaultLists {
  readonly #budget: MemoryBudget

  constructor(budget: MemoryBudget) {
    this.#budget = budget
  }

  /** Returns the errors, charged until the response is closed, or undefined if the budget has no room for them. */
  within(response: ServerResponse, errors: ProblemError[]): ProblemError[] | undefined {
    const bytes = listBytes(errors)
    // The client may be gone, and `close` has been emitted.
    if (response.closed || response.destroyed || !this.#budget.take(bytes)) return undefined
    response.once('close', () => this.#budget.giveBack(bytes))
    return errors
  }
}
