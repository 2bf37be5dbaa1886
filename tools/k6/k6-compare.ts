import { mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EventMaker } from '../../k6/lib/event.ts'
import type { Report } from '../../k6/lib/report.ts'
import { AckFile } from '../load/ack-file.ts'
import { spawnGuard } from '../stack/guard.ts'
import type { Targets } from '../verify/until-stored.ts'
import { verify, type VerifyOptions } from '../verify/verify.ts'
import type { NotAcknowledged } from './k6-output.ts'
import { expectationOf, judgeRun, type K6Verdict, numbersOf } from './k6-verdict.ts'

/** What is known of a run of k6 at its end. */
export interface K6Outcome {
  report: Report
  notAcknowledged: readonly NotAcknowledged[]
  /** Requests that k6 interrupted when it was stopped. */
  interrupted: number
}

/** Compares the events of a run, and the whole topic, with the tables. @throws as verify() does */
export async function compareK6(
  outcome: K6Outcome,
  options: Targets & Required<Pick<VerifyOptions, 'onProgress' | 'signal'>>,
): Promise<K6Verdict> {
  const { report, notAcknowledged, interrupted } = outcome
  const dir = mkdtempSync(join(tmpdir(), 'firehose-k6-'))
  const guard = spawnGuard(dir)
  try {
    const ackedFile = join(dir, 'acked.tsv')
    await writeEvents(ackedFile, outcome)
    const expected = expectationOf(report, notAcknowledged, interrupted)
    return judgeRun(expected, await verify({ ...options, ackedFile }))
  } finally {
    guard.stdin?.end() // the guard removes the directory
  }
}

async function writeEvents(path: string, { report, notAcknowledged, interrupted }: K6Outcome): Promise<void> {
  const events = new EventMaker(report.run)
  const file = await AckFile.create(path)
  try {
    for (const n of numbersOf(report, notAcknowledged, interrupted)) {
      file.add(events.id(n), events.body(n))
      await file.drained()
    }
  } finally {
    await file.close()
  }
}
