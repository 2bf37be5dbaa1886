import { checkAccess } from './check-access.ts'
import { checkEventIds } from './check-event-ids.ts'
import { checkEventRetention } from './check-event-retention.ts'
import { checkKafka } from './check-kafka.ts'
import { checkKeyFile } from './check-key-file.ts'
import { checkLag } from './check-lag.ts'
import { checkMachines } from './check-machines.ts'
import { checkMaintenance } from './check-maintenance.ts'
import { checkPartitions } from './check-partitions.ts'
import { checkPostgres } from './check-postgres.ts'
import { checkTables } from './check-tables.ts'
import { checkTransactions } from './check-transactions.ts'
import { checkUserIdType } from './check-user-id-type.ts'
import type { Facts } from './facts.ts'
import { type Finding, sortFindings } from './finding.ts'

/** All findings, worst first. Pure. */
export function runChecks(facts: Facts): Finding[] {
  const checks = [
    checkKafka,
    checkPostgres,
    checkLag,
    checkTransactions,
    checkTables,
    checkPartitions,
    checkMaintenance,
    checkEventRetention,
    checkEventIds,
    checkMachines,
    checkAccess,
    checkKeyFile,
    checkUserIdType,
  ]
  return sortFindings(checks.flatMap((check) => check(facts)))
}
