import { formatTable } from '../../platform/table.ts'
import { benchIdle, type IdleLoad } from './growth-idle.ts'
import { benchMemory, isFlat, MEMORY_MUST, type MemoryOverTime } from './growth-memory.ts'
import { benchTable, type TableOptions } from './growth-table.ts'
import { type LayoutDrains, layoutTable } from './growth-table-results.ts'
import { benchUsers, isFound, lookupTable, type Users, type UsersOptions } from './growth-users.ts'
import { measurementTable } from './report.ts'
import { reaches, type Measurement } from './measurement.ts'

/** How costs change as an installation grows. Parts that did not run are omitted. */
export interface Growth {
  table?: Measurement[]
  /** The drains behind `table`. */
  layouts?: LayoutDrains[]
  users?: Users
  idle?: IdleLoad[]
  memory?: MemoryOverTime[]
}

export const GROWTH_PARTS = ['table', 'users', 'idle', 'memory'] as const
export type GrowthPart = (typeof GROWTH_PARTS)[number]

/** Measures whether costs stay flat as rows, connections and time grow. @throws as its parts do */
export async function benchGrowth(
  parts: readonly GrowthPart[],
  bench: TableOptions & UsersOptions & { minutes: number },
): Promise<Growth> {
  const growth: Growth = {}
  if (parts.includes('table')) Object.assign(growth, await benchTable(bench))
  if (parts.includes('users')) growth.users = await benchUsers(bench)
  if (parts.includes('idle')) growth.idle = await benchIdle(bench)
  if (parts.includes('memory')) growth.memory = await benchMemory(bench)
  return growth
}

/** Whether every part that ran is within its bounds. */
export function staysFlat({ table = [], users, memory = [] }: Growth): boolean {
  return (
    table.every((measurement) => reaches(measurement, measurement.must)) &&
    (users === undefined || isFound(users)) &&
    memory.every(isFlat)
  )
}

/** Tables for the terminal, for the parts that ran. */
export function growthTables({ table, layouts, users, idle, memory }: Growth): string[] {
  return [
    ...(layouts ? [layoutTable(layouts)] : []),
    ...(table ? [measurementTable(table)] : []),
    ...(users ? [lookupTable(users), measurementTable([users.duplicates])] : []),
    ...(idle ? [idleTable(idle)] : []),
    ...(memory ? [memoryTable(memory)] : []),
  ]
}

function idleTable(loads: readonly IdleLoad[]): string {
  const names = ['idle connections', 'open at the end', 'rate', 'CPU per event', '202 p50', 'p99', 'API']
  const rows = loads.map((each) => [
    each.idle.toLocaleString('en'),
    each.stillOpen.toLocaleString('en'),
    `${each.rate.toLocaleString('en')}/s`,
    `${each.cpuUs.toFixed(1)} us`,
    `${each.answerP50Ms.toFixed(1)} ms`,
    `${each.answerP99Ms.toFixed(1)} ms`,
    `${Math.round(each.rssMiB)} MiB`,
  ])
  return formatTable(names, rows, 60)
}

function memoryTable(services: readonly MemoryOverTime[]): string {
  const span = (services[0]?.minutes ?? 0) < 4 ? 'quarter' : 'minute' // see summarise()
  const names = ['memory', 'rate', `second ${span}`, `last ${span}`, 'ratio', 'most', 'must', '']
  const rows = services.map((each) => [
    `${each.service}, ${each.minutes} min`,
    `${each.rate.toLocaleString('en')}/s`,
    `${each.earlyMiB.toFixed(1)} MiB`,
    `${each.lateMiB.toFixed(1)} MiB`,
    (each.lateMiB / each.earlyMiB).toFixed(3),
    `${each.maxMiB.toFixed(1)} MiB`,
    `<= ${MEMORY_MUST}`,
    isFlat(each) ? 'met' : 'NOT MET',
  ])
  return formatTable(names, rows, 60)
}
