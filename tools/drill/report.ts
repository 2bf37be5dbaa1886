import { deck, type Kind, type Kinds, MOMENTS } from './plan.ts'
import { type DrillVerdict, judgeAll } from './record.ts'
import type { Stretch } from './stretch.ts'

/** Of a stretch that was done where git could not tell it, or by a drill that did not ask. */
const NOT_NOTED = 'not noted'

/** One line that says it all. */
export function verdictLine({ ok, seeds, faults, observed, skipped, ...counts }: DrillVerdict): string {
  const elsewhere = skipped === 0 ? '' : `${skipped} cannot be played here; `
  return (
    `${ok ? 'OK' : 'FAILED'}: ${counts.lost} lost, ${counts.twice} twice over ${observed} observed faults` +
    ` (of ${faults}; ${elsewhere}seeds ${seeds.join(', ')}; ${counts.acked} acknowledged events).`
  )
}

/** Observed faults, a row for each kind and a column for each moment; '-' where there is nothing to tell apart. */
export function countByMoment(
  stretches: readonly Stretch[],
  kinds: Kinds,
): { names: string[]; rows: string[][] } {
  const seen = stretches.flatMap(({ faults }) => faults).filter(({ evidence }) => evidence !== undefined)
  const rows = (Object.keys(kinds) as Kind[]).map((kind) => [
    kind,
    ...MOMENTS.map((moment) => {
      if (kinds[kind]?.includes(moment) !== true) return '-'
      return String(seen.filter((fault) => fault.kind === kind && fault.moment === moment).length)
    }),
  ])
  return { names: ['kind', ...MOMENTS], rows }
}

/** The report as a page in Markdown. */
export function drillPage(stretches: readonly Stretch[], kinds: Kinds): string {
  const seeds = [...new Set(stretches.map(({ seed }) => seed))]
  const verdict = judgeAll(stretches)
  const { names, rows } = countByMoment(stretches, kinds)
  const count = deck(kinds).length
  const parts = [
    '# Results of the fault rehearsal',
    'Written by `npm run drill -- --state FILE --report --page docs/DRILL.md`: do not edit. What a drill is, and when a fault' +
      ' counts as observed: [ARCHITECTURE.md](../ARCHITECTURE.md), "How it is proved" (each seed was judged by the rules of its' +
      ' commit). To repeat one:' +
      ` \`npm run drill -- --seed N --faults ${count}\`.`,
    `**${verdictLine(verdict)} Run at ${commitsOf(stretches)}.**`,
    markdownTable(
      [
        'seed',
        'commit',
        'stage',
        'faults observed',
        'of planned',
        'acknowledged',
        'lost',
        'twice',
        'problems',
      ],
      seeds.map((seed) => seedRow(stretches.filter((stretch) => stretch.seed === seed))),
    ),
    '## Observed faults',
    'Each kind at each moment that can be told apart; a dash where there is nothing to tell apart.',
    markdownTable(names, rows),
    list('## Not observed', stretches.flatMap(missedFaults)),
    list('## Problems', verdict.problems.map(firstLine)),
  ]
  return `${parts.filter((part) => part !== '').join('\n\n')}\n`
}

/** `commit a (seeds 1, 2) and a commit that was not noted (seed 3)`; a seed may have begun at one and ended at another. */
function commitsOf(stretches: readonly Stretch[]): string {
  const byCommit = Map.groupBy(stretches, ({ commit }) => commit)
  const parts = [...byCommit].map(([commit, own]) => {
    const seeds = [...new Set(own.map(({ seed }) => seed))]
    const name = commit === undefined ? `a commit that was ${NOT_NOTED}` : `commit ${commit}`
    return `${name} (${seeds.length === 1 ? 'seed' : 'seeds'} ${seeds.join(', ')})`
  })
  return parts.join(' and ')
}

function distinct(values: readonly string[]): string {
  return [...new Set(values)].join(', ')
}

function seedRow(stretches: readonly Stretch[]): string[] {
  const { seeds, faults, observed, skipped, acked, lost, twice, problems } = judgeAll(stretches)
  const elsewhere = skipped === 0 ? '' : ` (${skipped} could not be played)`
  return [
    seeds.join(),
    distinct(stretches.map(({ commit }) => commit ?? NOT_NOTED)),
    distinct(stretches.map(({ stage }) => stage)),
    String(observed),
    `${faults}${elsewhere}`,
    String(acked),
    String(lost),
    String(twice),
    String(problems.length),
  ]
}

function missedFaults({ seed, faults }: Stretch): string[] {
  return faults
    .filter(({ evidence }) => evidence === undefined)
    .map(({ index, kind, moment, skipped }) => {
      const why = skipped === undefined ? '' : `: ${skipped}`
      return `seed ${seed}, fault ${index + 1}: ${kind} ${moment}${why}`
    })
}

/** What follows it are lines of logs. */
function firstLine(text: string): string {
  return text.split('\n', 1)[0] ?? ''
}

function list(title: string, items: readonly string[]): string {
  return items.length === 0 ? '' : [`${title}\n`, ...items.map((item) => `- ${item}`)].join('\n')
}

function markdownTable(names: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [line(names), line(names.map(() => '---')), ...rows.map(line)].join('\n')
}
