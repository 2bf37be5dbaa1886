import { styleText } from 'node:util'
import { escapeControls } from '../platform/escape-controls.ts'
import { CHECKS, type Finding, type Level, worstOf } from './finding.ts'
import { plural } from '../platform/units.ts'

const WIDTH = 110
const NAME_WIDTH = Math.max(...Object.keys(CHECKS).map((name) => name.length)) + 2
const LEVEL_WIDTH = 'critical'.length + 2
const COLORS = { ok: 'green', note: 'cyan', unknown: 'magenta', warning: 'yellow', critical: 'red' } as const

/** The report for people, and for monitoring systems, which show its first line. The findings must be sorted. */
export function formatReport(findings: readonly Finding[]): string {
  return [summary(findings), '', ...findings.map(formatFinding), ''].join('\n')
}

/** `FIREHOSE CRITICAL: group; warning: lag, dead-letters; 17 ok` */
function summary(findings: readonly Finding[]): string {
  const worst = worstOf(findings)
  const named = (['critical', 'warning', 'unknown'] as const).flatMap((level) => {
    const names = [...new Set(findings.filter((one) => one.level === level).map(({ check }) => check))]
    return names.length === 0 ? [] : [`${level === worst ? '' : `${level}: `}${names.join(', ')}`]
  })
  const notes = findings.filter(({ level }) => level === 'note').length
  const calm = `${findings.filter(({ level }) => level === 'ok').length} ok${notes === 0 ? '' : `, ${plural(notes, 'note')}`}`
  const status = worst === 'note' ? 'ok' : worst
  return `${color(worst, `FIREHOSE ${status.toUpperCase()}`)}: ${[...named, calm].join('; ')}`
}

function formatFinding({ check, level, text, mend }: Finding): string {
  const indent = ' '.repeat(LEVEL_WIDTH + NAME_WIDTH)
  const [first = '', ...others] = wrap(escapeControls(text), WIDTH - indent.length)
  return [
    `${color(level, level.padEnd(LEVEL_WIDTH))}${check.padEnd(NAME_WIDTH)}${first}`,
    ...others.map((line) => indent + line),
    // Not wrapped, because it may be a command to copy.
    ...(mend === undefined ? [] : [`${indent}-> ${escapeControls(mend)}`]),
  ].join('\n')
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = []
  let line = ''
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line)
      line = word
    } else {
      line = line === '' ? word : `${line} ${word}`
    }
  }
  return [...lines, line]
}

/** Colours the text if standard output is a terminal that supports it. */
function color(level: Level, text: string): string {
  return styleText(COLORS[level], text, { stream: process.stdout })
}
