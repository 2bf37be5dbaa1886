import { writeFileSync } from 'node:fs'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { formatKeyFile } from '../../access/key-file.ts'
import { newSecret } from '../../access/secret.ts'
import type { NodeService } from '../../embedded/node-service.ts'
import type { Bench } from './bench.ts'
import { type Comparison, type Run, untilResolved } from './compare.ts'
import { MEASURED_CORE, pinService } from './machine.ts'
import { CLIENTS, saturate, spanOf } from './saturate.ts'
import { eventsInTopic, startStack } from './stack.ts'

/* What the front door costs: the same build, with credentials and limits and without, in turns. */

/** The most that the CPU time of a request may be of that without. */
const BOUNDS: Readonly<Record<string, number>> = { 'key and limits': 1.05, token: 1.1 }

export function isWithinAccessBound({ part, ratio }: Comparison): boolean {
  return ratio.mean <= (BOUNDS[part] ?? Number.POSITIVE_INFINITY)
}

/** So high that nothing is refused. */
const LIMITS = {
  ADDRESS_REQUESTS_PER_SECOND: '1000000',
  ADDRESS_BURST: '1000000',
  KEY_EVENTS_PER_SECOND: '1000000',
  KEY_BURST: '1000000',
}
const ISSUER = 'https://issuer.example/'
const AUDIENCE = 'events'

interface Entry {
  part: string
  env: NodeJS.ProcessEnv
  credential: string
}

/** @throws an Error if an event was lost, or refused */
export async function compareAccess(bench: Bench): Promise<Comparison[]> {
  const { pipeline } = await startStack()
  try {
    let accepted = 0
    const runOf = async (env: NodeJS.ProcessEnv, credential?: string): Promise<Run> => {
      const api: NodeService = await pinService(pipeline.startApi(env), MEASURED_CORE)
      const target = { url: api.url, ...CLIENTS.api, ...spanOf(bench.seconds), isBaseline: false }
      return async () => {
        const result = await saturate(api.pid ?? 0, target, credential)
        accepted += result.accepted
        return result.cpuUs
      }
    }
    const plain = await runOf({})
    const comparisons: Comparison[] = []
    const entries = [keyEntry(pipeline.path('keys.json')), await tokenEntry(pipeline.path('jwks.json'))]
    for (const { part, env, credential } of entries) {
      const guarded = await runOf(env, credential)
      const variants = { other: plain, this: guarded, again: guarded }
      comparisons.push(await untilResolved(part, variants, bench))
    }
    const stored = await eventsInTopic(pipeline)
    if (stored !== accepted) throw new Error(`the topic holds ${stored} events, ${accepted} were accepted`)
    return comparisons
  } finally {
    await pipeline.close()
  }
}

function keyEntry(file: string): Entry {
  const { text, id, sha256 } = newSecret('server')
  const secrets = [{ id, sha256, createdMs: 0, expiresMs: undefined }]
  const key = {
    label: 'bench',
    kind: 'server',
    origins: [],
    eventsPerSecond: undefined,
    burst: undefined,
    secrets,
  } as const
  writeFileSync(file, formatKeyFile({ keys: [key] }), { mode: 0o600 })
  return { part: 'key and limits', env: { API_KEYS_FILE: file, ...LIMITS }, credential: text }
}

async function tokenEntry(file: string): Promise<Entry> {
  const { publicKey, privateKey } = await generateKeyPair('ES256')
  writeFileSync(file, JSON.stringify({ keys: [await exportJWK(publicKey)] }))
  const credential = await new SignJWT({ sub: 'bench' })
    .setProtectedHeader({ alg: 'ES256' })
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setExpirationTime('12h')
    .sign(privateKey)
  const env = { JWT_JWKS_FILE: file, JWT_ISSUER: ISSUER, JWT_AUDIENCE: AUDIENCE, ...LIMITS }
  return { part: 'token', env, credential }
}
