import { backendTerminated, connectionsExhausted, diskFull, tableLocked } from './database-faults.ts'
import { keyRotated } from './key-fault.ts'
import { maintainFrozen, maintainKilled } from './maintenance-fault.ts'
import {
  apiToKafka,
  clientsToApi,
  cut,
  delayed,
  halfOpen,
  responseLost,
  sinksToKafka,
  sinkToPostgres,
} from './network-faults.ts'
import type { Fault, Kind } from './plan.ts'
import { api, ended, frozen, kafka, killed, postgres, rollingRestart, sink } from './process-faults.ts'
import { twoSinks } from './rival-fault.ts'
import { MomentMissedError, Scene, type Strike } from './scene.ts'
import type { Stage } from './stage.ts'

/** Injects a fault and undoes it. @returns the evidence of its effect; undefined if none was observed */
export async function strike(stage: Stage, fault: Fault, signal: AbortSignal): Promise<string | undefined> {
  const scene = new Scene(stage, fault, signal)
  try {
    return await STRIKES[fault.kind](scene)
  } catch (error) {
    if (error instanceof MomentMissedError) return undefined
    throw error
  } finally {
    scene.endHold()
  }
}

const STRIKES: Record<Kind, Strike> = {
  api_killed: killed(api),
  api_ended: ended(api),
  api_frozen_briefly: frozen(api, 'brief'),
  api_frozen_long: frozen(api, 'long'),
  sink_killed: killed(sink),
  sink_ended: ended(sink),
  sink_frozen_briefly: frozen(sink, 'brief'),
  sink_frozen_long: frozen(sink, 'sinkLong'),
  kafka_killed: killed(kafka),
  kafka_ended: ended(kafka),
  kafka_frozen_briefly: frozen(kafka, 'brief'),
  kafka_frozen_long: frozen(kafka, 'long'),
  postgres_killed: killed(postgres),
  postgres_ended: ended(postgres),
  postgres_frozen_briefly: frozen(postgres, 'brief'),
  postgres_frozen_long: frozen(postgres, 'long'),
  backend_terminated: backendTerminated,
  table_locked: tableLocked,
  disk_full: diskFull,
  connections_exhausted: connectionsExhausted,
  sink_postgres_cut: cut(sinkToPostgres),
  sink_postgres_half_open: halfOpen(sinkToPostgres),
  sink_postgres_delayed: delayed(sinkToPostgres),
  sink_kafka_cut: cut(sinksToKafka),
  sink_kafka_half_open: halfOpen(sinksToKafka),
  sink_kafka_delayed: delayed(sinksToKafka),
  api_kafka_cut: cut(apiToKafka),
  api_kafka_half_open: halfOpen(apiToKafka),
  api_kafka_delayed: delayed(apiToKafka),
  client_api_cut: cut(clientsToApi),
  client_api_half_open: halfOpen(clientsToApi),
  client_api_delayed: delayed(clientsToApi),
  response_lost: responseLost,
  two_sinks: twoSinks,
  rolling_restart: rollingRestart,
  maintain_killed: maintainKilled,
  maintain_frozen: maintainFrozen,
  key_rotated: keyRotated,
}
