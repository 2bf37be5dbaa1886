import type { EventsLayout } from '../postgres/partitions/tree.ts'
import { type Clocks, findClockProblem } from './clock-guard.ts'
import type { Maintenance } from './maintenance.ts'

/** Deletes what is older than retention allows. */
export async function retain(run: Maintenance & { layout: EventsLayout; clocks: Clocks }): Promise<void> {
  const { retentionDays, deadLetterDays } = run.policy
  if (retentionDays === undefined && deadLetterDays === undefined) return
  const problem = await findClockProblem(run.db, run.clocks)
  if (problem !== undefined) {
    run.report({ step: 'retain', kind: 'problem', count: 0, text: `Nothing was deleted: ${problem}.` })
    return
  }
}
