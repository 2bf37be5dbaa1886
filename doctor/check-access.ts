import { isIP } from 'node:net'
import { isRecord } from '../access/members.ts'
import { isLoopback } from '../producer-api/front-door/anonymous.ts'
import type { ServiceFacts } from './facts-services.ts'
import type { Facts } from './facts.ts'
import type { Finding } from './finding.ts'

/** What an API says in /health of those who may write. */
export interface Access {
  anonymous: unknown
  /** Undefined: it takes no keys. */
  keys: Source | undefined
  /** Undefined: it takes no tokens. */
  tokens: Source | undefined
}

/** Where an API has its keys from, or those that tokens are checked with. */
interface Source {
  path: string | undefined
  /** How many it uses. */
  keys: number | undefined
  /** Why they could not be read again, in a sentence without a full stop. */
  problem: string | undefined
}

/** Undefined if it is not known: the API does not answer, is older, or has its /health on another port. */
export function accessOf({ answer }: ServiceFacts): Access | undefined {
  const access = answer.ok ? answer.value.health.access : undefined
  if (!isRecord(access)) return undefined
  return { anonymous: access.anonymous, keys: sourceOf(access.keys), tokens: sourceOf(access.tokens) }
}

function sourceOf(value: unknown): Source | undefined {
  if (!isRecord(value)) return undefined
  const { path, keys, problem } = value
  return {
    path: typeof path === 'string' ? path : undefined,
    keys: typeof keys === 'number' ? keys : undefined,
    problem: typeof problem === 'string' ? problem.replace(/\.$/, '') : undefined,
  }
}

/** Who may write, and whether the API could read what it checks credentials with. */
export function checkAccess({ api }: Facts): Finding[] {
  const access = accessOf(api)
  if (access === undefined) return []
  const findings = [
    ...anyone(api.url, access),
    ...keysOfClients(api.url, access),
    ...keysOfTokens(api.url, access),
  ]
  if (findings.length > 0) return findings
  return [{ check: 'access', level: 'ok', text: mayWrite(api.url, access) }]
}

function mayWrite(url: string, { anonymous, keys, tokens }: Access): string {
  if (anonymous === 'local')
    return `The API at ${url} is published on its own machine only, where anyone may write.`
  const needed = [keys && 'a key', tokens && 'a token'].filter((each) => each !== undefined)
  return `Who writes to the API at ${url} needs ${needed.join(' or ')}.`
}

function anyone(url: string, { anonymous }: Access): Finding[] {
  if (anonymous === 'public')
    return [
      {
        check: 'access',
        level: 'warning',
        text: `Anyone who reaches the API at ${url} may write events, because ALLOW_ANONYMOUS is true.`,
        mend: 'Give its clients keys: npx firehose keys create app --kind server; then set API_KEYS_FILE for the API, unset ALLOW_ANONYMOUS, and restart it.',
      },
    ]
  if (anonymous === 'local' && isElsewhere(url))
    return [
      {
        check: 'access',
        level: 'warning',
        text: `Anyone may write events to the API, which takes its address for one of its own machine only (HOST, PUBLISHED_ADDRESS); but it answers at ${url}.`,
        mend: 'Give its clients keys: npx firehose keys create app --kind server; then set API_KEYS_FILE for the API, and restart it. Or let no proxy or tunnel lead to it.',
      },
    ]
  return []
}

/** Whether an address is of another machine. A name without a dot may be one of this machine, or of its containers. */
function isElsewhere(url: string): boolean {
  const { hostname } = new URL(url)
  if (isIP(hostname) !== 0 || hostname.startsWith('[')) return !isLoopback(hostname)
  return hostname.includes('.') && !/\.(?:localhost|docker\.internal)$/.test(hostname)
}

function keysOfClients(url: string, { keys, tokens }: Access): Finding[] {
  if (keys === undefined) return []
  if (keys.keys === 0)
    return [
      {
        check: 'access',
        level: tokens === undefined ? 'critical' : 'warning',
        text: `The API at ${url} has no key left: it refuses ${tokens === undefined ? 'everybody' : 'all keys'} (401), and does not start again without one.`,
        mend: 'Make one: npx firehose keys create app --kind server. The API takes it within 5 s.',
      },
    ]
  if (keys.problem === undefined) return []
  return [
    {
      check: 'access',
      level: 'warning',
      text: `The API at ${url} keeps the keys that it had: ${keys.problem}. What has been revoked since then still works, and the API does not start again.`,
      mend: 'Do what it says; the API reads the file again within 5 s. npx firehose keys list shows whether it is right.',
    },
  ]
}

function keysOfTokens(url: string, { tokens }: Access): Finding[] {
  if (tokens?.problem === undefined) return []
  const hasNone = tokens.keys === 0
  return [
    {
      check: 'access',
      level: hasNone ? 'critical' : 'warning',
      text: `The API at ${url} ${hasNone ? 'has no keys to check tokens with' : 'cannot read the keys of tokens again'}: ${tokens.problem}.`,
      mend: 'Do what it says; the API tries again by itself, at the latest after 30 s.',
    },
  ]
}
