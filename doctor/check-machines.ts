import type { DiskFacts } from './facts-disk.ts'
import { CLOCK_TOLERANCE_MS, type KafkaFacts } from './facts-kafka.ts'
import type { PostgresFacts } from './facts-postgres.ts'
import type { ServiceFacts } from './facts-services.ts'
import type { Facts } from './facts.ts'
import type { Finding, Look } from './finding.ts'
import { duration, listed, plural, size } from './units.ts'

const LOW_DISK_SHARE = 0.1
const NO_DISK_SHARE = 0.03
/** Kafka's default of message.timestamp.after.max.ms: it refuses records of later times. */
const KAFKA_REFUSES_MS = 3_600_000

/** Disks, clocks, and what our services say of themselves. */
export function checkMachines(facts: Facts): Finding[] {
  const { kafka, postgres, disks, api, sink } = facts
  const sizes = postgres.ok ? postgres.value.sizes : undefined
  return [
    ...disks.map((disk) => checkDisk(disk, sizes)),
    ...checkClocks(kafka, postgres),
    checkApi(api, isInUse(facts)),
    ...checkSink(sink),
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
      text: `How much space ${of} has left cannot be seen from here${holds}.`,
      mend: `On its host: df -h DIRECTORY (${of === 'Kafka' ? 'log.dirs' : 'data_directory'}${directory === null ? '' : `: ${directory}`}).`,
    }
  }
  const share = space.freeBytes / space.totalBytes
  const text = `${of} has ${size(space.freeBytes)} left (${Math.floor(share * 100)} %)${holds}`
  if (share >= LOW_DISK_SHARE) return { check: 'disk', level: 'ok', text: `${text}.` }
  const harm =
    of === 'Kafka'
      ? 'when it is full the broker ends, and nothing is accepted'
      : 'when it is full nothing is stored'
  return {
    check: 'disk',
    level: share < NO_DISK_SHARE ? 'critical' : 'warning',
    text: `${text}: ${harm}.`,
    mend: `Free space in ${directory}, or ${of === 'Kafka' ? 'lower the retention of what is stored already' : 'drop what is no longer needed'}.`,
  }
}

function checkClocks(kafka: Look<KafkaFacts>, postgres: Look<PostgresFacts>): Finding[] {
  const findings: Finding[] = []
  if (postgres.ok) {
    const { aheadMs, uncertaintyMs } = postgres.value.clock
    const skewMs = Math.abs(aheadMs) - uncertaintyMs
    if (skewMs > CLOCK_TOLERANCE_MS) {
      findings.push({
        check: 'clocks',
        level: skewMs > KAFKA_REFUSES_MS ? 'critical' : 'warning',
        text: `PostgreSQL's clock is ${duration(Math.abs(aheadMs) / 1_000)} ${aheadMs > 0 ? 'ahead of' : 'behind'} this machine's: times in the tables do not fit, and Kafka refuses events of an API that is more than an hour ahead.`,
        mend: 'Let NTP set the clocks of all machines (timedatectl set-ntp true).',
      })
    }
  }
  const inFuture = kafka.ok ? kafka.value.inFuture : undefined
  if (inFuture?.ok === true && inFuture.value.length > 0) {
    findings.push({
      check: 'clocks',
      level: 'warning',
      text: `Partition ${listed(inFuture.value)} holds records from the future: a producer's clock is ahead of this machine's, and more than an hour of it Kafka refuses.`,
      mend: 'Let NTP set the clocks of all machines (timedatectl set-ntp true).',
    })
  }
  if (findings.length > 0 || !postgres.ok) return findings
  const writers = inFuture?.ok === true ? ', and no record in Kafka is from the future' : ''
  return [{ check: 'clocks', level: 'ok', text: `PostgreSQL's clock is this machine's${writers}.` }]
}

/** Whether events are stored here, or have been: then there should be an API, and on most machines beside us. */
function isInUse({ kafka, between }: Facts): boolean {
  const group = kafka.ok ? kafka.value.group : undefined
  const isRead = group?.ok === true && group.value.members.length > 0
  return isRead || (between?.ok === true && between.value.offsets.offsets.size > 0)
}

function checkApi({ url, named, answer }: ServiceFacts, inUse: boolean): Finding {
  if (!answer.ok && inUse && !named) {
    return {
      check: 'api',
      level: 'warning',
      text: `No API answers at ${url} (${answer.error}), though events are stored here: if it should, nothing is accepted.`,
      mend: 'Start it: npm run api (docker compose up -d producer-api); if it is elsewhere, name it with --api URL, or --skip api.',
    }
  }
  if (!answer.ok) return silent('api', 'API', url, named, answer.error)
  if (answer.value.ready)
    return { check: 'api', level: 'ok', text: `The API at ${url} says that it accepts events.` }
  return {
    check: 'api',
    level: 'critical',
    text: `The API at ${url} accepts nothing: ${answer.value.reason ?? 'it is not ready'}.`,
    mend: 'Mend what its reason names; it goes on by itself.',
  }
}

function checkSink({ url, named, answer }: ServiceFacts): Finding[] {
  if (!answer.ok) return [silent('sink', 'sink', url, named, answer.error)]
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
        ? 'Mend what its reason names; it goes on by itself.'
        : 'It waits for a person: do what its reason says.',
    })
  }
  if (typeof total_expired === 'number' && total_expired > 0) {
    findings.push({
      check: 'sink',
      level: 'warning',
      text: `${plural(total_expired, 'record')} expired before this sink read them: they are lost.`,
      mend: 'Raise retention.ms of the topic; a restart of the sink ends this warning.',
    })
  }
  if (findings.length > 0) return findings
  return [{ check: 'sink', level: 'ok', text: `The sink at ${url} says that it is running.` }]
}

function silent(check: 'api' | 'sink', name: string, url: string, named: boolean, error: string): Finding {
  return {
    check,
    level: named ? 'critical' : 'note',
    text: `No ${name} answers at ${url} (${error}).`,
    mend: named
      ? `Start it, or name another address with --${check} URL.`
      : `If it is elsewhere, name it with --${check} URL.`,
  }
}
