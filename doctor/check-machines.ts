import { checkClocks } from './check-clocks.ts'
import { checkMaintainer } from './check-maintainer.ts'
import type { DiskFacts } from './facts-disk.ts'
import type { PostgresFacts } from './facts-postgres.ts'
import type { ServiceFacts } from './facts-services.ts'
import type { Facts } from './facts.ts'
import type { Finding } from './finding.ts'
import { plural, size } from '../platform/units.ts'

const LOW_DISK_SHARE = 0.1
const NO_DISK_SHARE = 0.03

/** Disks, clocks, and the health that the services report. */
export function checkMachines(facts: Facts): Finding[] {
  const { postgres, disks, api, sink } = facts
  const sizes = postgres.ok ? postgres.value.sizes : undefined
  return [
    ...disks.map((disk) => checkDisk(disk, sizes)),
    ...checkClocks(facts),
    checkApi(api, isInUse(facts)),
    ...checkSink(sink),
    ...checkMaintainer(facts),
  ]
}

function checkDisk({ of, directory, space }: DiskFacts, sizes: PostgresFacts['sizes'] | undefined): Finding {
  const holds =
    of === 'PostgreSQL' && sizes?.ok === true
      ? `; "events" takes ${size(sizes.value.events)} of ${size(sizes.value.database)}`
      : ''
  if (space === undefined) {
    return {
      check: 'disk',
      level: 'note',
      text: `The free space of ${of} cannot be determined from here${holds}.`,
      mend: `On its host: df -h DIRECTORY (${of === 'Kafka' ? 'log.dirs' : 'data_directory'}${directory === null ? '' : `: ${directory}`}).`,
    }
  }
  const share = space.freeBytes / space.totalBytes
  const text = `${of} has ${size(space.freeBytes)} left (${Math.floor(share * 100)} %)${holds}`
  if (share >= LOW_DISK_SHARE) return { check: 'disk', level: 'ok', text: `${text}.` }
  const harm =
    of === 'Kafka'
      ? 'when the disk is full, the broker stops, and no event is accepted'
      : 'when the disk is full, nothing is stored'
  return {
    check: 'disk',
    level: share < NO_DISK_SHARE ? 'critical' : 'warning',
    text: `${text}: ${harm}.`,
    mend: `Free space in ${directory}, or ${of === 'Kafka' ? 'lower retention.ms, if its events are stored' : 'drop data that is no longer needed'}.`,
  }
}

/** Whether events are, or have been, stored here. Then there should be an API, most likely on this machine. */
function isInUse({ kafka, comparison }: Facts): boolean {
  const group = kafka.ok ? kafka.value.group : undefined
  const isRead = group?.ok === true && group.value.members.length > 0
  return isRead || (comparison?.ok === true && comparison.value.offsets.offsets.size > 0)
}

function checkApi({ url, named, answer }: ServiceFacts, inUse: boolean): Finding {
  if (!answer.ok && inUse && !named) {
    return {
      check: 'api',
      level: 'warning',
      text: `No API answers at ${url} (${answer.error}), although events are stored here: if it should run there, no event is accepted.`,
      mend: 'Start it: npx firehose api (docker compose up -d producer-api); if it is elsewhere, use --api URL or --skip api.',
    }
  }
  if (!answer.ok) return notAnswering('api', 'API', url, named, answer.error)
  const { ready, healthProblem } = answer.value
  if (ready && healthProblem !== undefined) {
    return {
      check: 'api',
      level: 'warning',
      text: `The API at ${url} reports that it accepts events, but its /health cannot be read (${healthProblem}), so not everything could be checked.`,
      mend: 'Set OPS_PORT as for the API, or API_OPS_URL to the address where it serves /health.',
    }
  }
  if (ready) return { check: 'api', level: 'ok', text: `The API at ${url} reports that it accepts events.` }
  return {
    check: 'api',
    level: 'critical',
    text: `The API at ${url} does not accept events: ${answer.value.reason ?? 'it is not ready'}.`,
    mend: 'Fix the cause that it reports; it then continues by itself.',
  }
}

function checkSink({ url, named, answer }: ServiceFacts): Finding[] {
  if (!answer.ok) return [notAnswering('sink', 'sink', url, named, answer.error)]
  const { state, reason, needs_person, paused_since, total_expired } = answer.value.health
  const findings: Finding[] = []
  if (state !== 'running') {
    const since = typeof paused_since === 'string' ? ` since ${paused_since}` : ''
    const isWaiting = needs_person !== true
    findings.push({
      check: 'sink',
      level: isWaiting ? 'warning' : 'critical',
      text: `The sink at ${url} is ${String(state)}${since}${typeof reason === 'string' ? `: ${reason}` : ''}.`,
      mend: isWaiting
        ? 'Fix the cause that it reports; it then continues by itself.'
        : 'It waits for an operator: do what its reason says.',
    })
  }
  if (typeof total_expired === 'number' && total_expired > 0) {
    findings.push({
      check: 'sink',
      level: 'warning',
      text: `${plural(total_expired, 'record')} expired before this sink read them: they are lost.`,
      mend: 'Raise retention.ms of the topic; this warning lasts until the sink is restarted.',
    })
  }
  if (findings.length > 0) return findings
  return [{ check: 'sink', level: 'ok', text: `The sink at ${url} reports that it is running.` }]
}

function notAnswering(
  check: 'api' | 'sink',
  name: string,
  url: string,
  named: boolean,
  error: string,
): Finding {
  return {
    check,
    level: named ? 'critical' : 'note',
    text: `No ${name} answers at ${url} (${error}).`,
    mend: named
      ? `Start it, or give another address with --${check} URL.`
      : `If it is elsewhere, give its address with --${check} URL.`,
  }
}
