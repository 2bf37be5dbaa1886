import { execFile } from 'node:child_process'
import type { Finding } from '../../doctor/finding.ts'

export interface Diagnosis {
  code: number
  findings: Finding[]
  lag: { records: number; oldest_s: number; produced_per_s: number; stored_per_s: number } | null | undefined
  /** Its output, if it is not JSON. */
  words: string
}

/** Runs `npx firehose doctor --json ...`. */
export async function diagnose(env: NodeJS.ProcessEnv, options: readonly string[]): Promise<Diagnosis> {
  return await new Promise((resolve) => {
    const args = ['cli/firehose.ts', 'doctor', '--json', ...options]
    execFile(process.execPath, args, { env }, (error, stdout) => {
      const { findings = [], lag } = stdout.startsWith('{') ? JSON.parse(stdout) : {}
      resolve({ code: error === null ? 0 : Number(error.code), findings, lag, words: stdout })
    })
  })
}

/** Findings worse than a note, worst first. */
export function alarms(findings: readonly Finding[]): string[] {
  return findings
    .filter(({ level }) => level !== 'ok' && level !== 'note')
    .map(({ level, check }) => `${level} ${check}`)
}

export function textOf(findings: readonly Finding[], check: string): string {
  return findings
    .filter((finding) => finding.check === check)
    .map(({ text }) => text)
    .join(' ')
}
