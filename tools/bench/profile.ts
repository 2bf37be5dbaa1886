import { mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'

/** The self time of a function in a profile. */
export interface SelfTime {
  /** `name file:line`; the file relative to the project's root or to node_modules. */
  where: string
  ms: number
  /** Share of all samples that were not idle. */
  share: number
}

interface CpuProfile {
  nodes: {
    id: number
    callFrame: { functionName: string; url: string; lineNumber: number }
  }[]
  samples: number[]
  timeDeltas: number[]
}

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Environment of a service that writes a CPU profile into this directory when it exits normally. */
export function profiled(dir: string): NodeJS.ProcessEnv {
  rmSync(dir, { recursive: true, force: true })
  mkdirSync(dir, { recursive: true })
  return { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${dir} --cpu-prof-interval=500` }
}

/** The profile that a service wrote into the directory. @throws if there is none */
export function profileIn(dir: string): string {
  const [name] = readdirSync(dir).filter((file) => file.endsWith('.cpuprofile'))
  if (name === undefined) throw new Error(`there is no profile in ${dir}: the service did not exit normally`)
  return join(dir, name)
}

/**
 * The functions with the most self time (https://chromedevtools.github.io/devtools-protocol/tot/Profiler).
 *
 * @param skipShare share of the profile to skip at its beginning, the start of the process
 */
export function topSelfTimes(file: string, count: number, skipShare = 0.3): SelfTime[] {
  const profile = JSON.parse(readFileSync(file, 'utf8')) as CpuProfile
  const frames = new Map(profile.nodes.map(({ id, callFrame }) => [id, callFrame]))
  const total = profile.timeDeltas.reduce((sum, delta) => sum + delta, 0)
  const times = new Map<string, number>()
  let at = 0
  for (const [index, sample] of profile.samples.entries()) {
    const delta = profile.timeDeltas[index] ?? 0
    at += delta
    const frame = frames.get(sample)
    if (frame === undefined || at < total * skipShare || frame.functionName === '(idle)') continue
    const where = describeFrame(frame)
    times.set(where, (times.get(where) ?? 0) + delta)
  }
  const busy = [...times.values()].reduce((sum, us) => sum + us, 0)
  return [...times]
    .map(([where, us]) => ({ where, ms: us / 1_000, share: us / busy }))
    .toSorted((a, b) => b.ms - a.ms)
    .slice(0, count)
}

function describeFrame({ functionName, url, lineNumber }: CpuProfile['nodes'][number]['callFrame']): string {
  const name = functionName || '(anonymous)'
  if (url === '') return name
  const file = url.startsWith('file:') ? relative(root, fileURLToPath(url)) : url
  return `${name} ${file.replace(/^.*node_modules\//, '')}:${lineNumber + 1}`
}
