// What `firehose k6` sends to and compares with: the addresses, and whether they answer.
import { collectProblems, ConfigError } from '../platform/env.ts'
import { countUnstored, type Targets, topicNow } from '../tools/verify/until-stored.ts'
import { type EventTarget, eventTarget } from './api-key.ts'
import { API_OPS_HELP, apiOpsUrl, sinkUrl } from './service-url.ts'
import { targetsOf } from './verify-targets.ts'
import { messageOf } from './verify-text.ts'

/** The values of the options that are addresses. */
interface Given {
  url?: string
  sink?: string
}

export interface K6Targets {
  api: EventTarget
  /** What else the script asks, by the variable that tells it. */
  watched: { SINK_URL?: string | undefined; API_OPS_URL?: string | undefined }
  /** For the comparison. */
  stores: Targets
  /** The servers of the comparison, for people. */
  asked: string
}

/** @throws {ConfigError} that lists every mistake */
export function k6Targets(script: string, given: Given): K6Targets {
  const problems: string[] = []
  const api = collectProblems(problems, () => eventTarget(given.url))
  const watched = script === 'outage' ? watchedUrls(problems, given, api) : {}
  const targets = collectProblems(problems, () => targetsOf(process.env))
  if (api === undefined || targets === undefined || problems.length > 0) throw new ConfigError(problems)
  const { asked, ...stores } = targets
  return { api, watched, stores, asked }
}

function watchedUrls(problems: string[], given: Given, api: EventTarget | undefined): K6Targets['watched'] {
  return {
    SINK_URL: collectProblems(problems, () => sinkUrl(given.sink))?.url,
    API_OPS_URL: collectProblems(problems, () => apiOpsUrl(api?.url, given.url)),
  }
}

/** Checks before the run that everything answers; without it, the run could not be compared. */
export async function checkTargets({ api, watched, stores, asked }: K6Targets): Promise<void> {
  await checkService(api.url, '/livez', '--url names another API.')
  if (watched.SINK_URL !== undefined) {
    const advice = '--sink names another sink; docker compose port sink-worker 8001 finds it.'
    await checkService(watched.SINK_URL, '/livez', advice)
  }
  if (watched.API_OPS_URL !== undefined) await checkService(watched.API_OPS_URL, '/health', API_OPS_HELP)
  try {
    await countUnstored(stores, await topicNow(stores))
  } catch (error) {
    throw new Error(`The comparison needs Kafka and PostgreSQL, but: ${messageOf(error)}\n${asked}`, {
      cause: error,
    })
  }
}

async function checkService(url: string, path: string, advice: string): Promise<void> {
  const answer = await fetch(new URL(path, url), { signal: AbortSignal.timeout(5000) }).catch(() => {
    throw new Error(`Nothing answers at ${url} (is npm start running?). ${advice}`)
  })
  if (!answer.ok) throw new Error(`${new URL(path, url).href} answers ${answer.status}. ${advice}`)
}
