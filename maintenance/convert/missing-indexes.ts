import { createIndex } from '../../postgres/partitions/indexes.ts'
import { ROOT } from '../../postgres/partitions/tree.ts'
import type { Conversion } from './conversion.ts'
import type { Facts } from './facts.ts'
import { missingIndexes, remains } from './index-roles.ts'

/**
 * Builds the indexes that the old table will need as `events_other`, while sinks write; nothing is built under the lock of
 * the swap then. What an interrupted build has left is dropped first.
 *
 * @throws the driver's error, such as a time limit of the role
 */
export async function buildMissingIndexes(run: Conversion, facts: Facts): Promise<void> {
  const { long, report } = run
  for (const { sql } of remains(facts)) {
    await long.run(`DROP INDEX CONCURRENTLY IF EXISTS ${facts.schema}.${sql}`)
    report('done', `The index ${sql}, whose build had been interrupted, was dropped.`)
  }
  for (const kind of missingIndexes(facts)) {
    const what = `index ${kind.definition}`
    report('done', `Builds the ${what}, while sinks write.`)
    await long.run(createIndex(kind, `${facts.schema}.${ROOT}`, 'CONCURRENTLY '))
    report('done', `The ${what} was built.`)
  }
}
