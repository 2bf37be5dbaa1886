import { writeFileSync } from 'node:fs'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import { formatKeyFile } from '../../access/key-file.ts'
import { newSecret } from '../../access/secret.ts'
import type { NodeService } from '../../embedded/node-service.ts'
import type { Bench } from './bench.ts'
import { type Comparison, comparisonOf, type Run } from './compare.ts'
import { MEASURED_CORE, pinService } from './machine.ts'
import { inTurns } from './pairs.ts'
import { CLIENTS, saturate, spanOf } from './saturate.ts'
import { eventsInTopic, startStack } from './stack.ts'

/*
 * What the front door costs: the same build, with credentials and limits and without, in turns. Two processes of the same
 * program differ, too, because the compiler optimises each by what it happened to see: each side has several. All are of the
 * same age, because a process takes a fifth less after half a minute under load.
 */

const PROCESSES = 2
/** Rounds that are not counted. */
const WARM_UPS = 8

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
const NAMES = { other: 'without', this: 'with', again: 'with, again' }
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
    const run = async ({ pid = 0, url }: NodeService, credential?: string): Promise<number> => {
      const target = { url, ...CLIENTS.api, ...spanOf(bench.seconds), isBaseline: false }
      const result = await saturate(pid, target, credential)
      accepted += result.accepted
      return result.cpuUs
    }
    const runOf = async (env: NodeJS.ProcessEnv, credential?: string): Promise<Run> => {
      const apis: NodeService[] = []
      for (let n = 0; n < PROCESSES; n++) apis.push(await pinService(pipeline.startApi(env), MEASURED_CORE))
      let next = 0
      return async () => await run(apis[next++ % PROCESSES]!, credential)
    }
    const comparisons: Comparison[] = []
    const entries = [keyEntry(pipeline.path('keys.json')), await tokenEntry(pipeline.path('jwks.json'))]
    for (const { part, env, credential } of entries) {
      const [other, first, again] = [
        await runOf({}),
        await runOf(env, credential),
        await runOf(env, credential),
      ]
      const variants = { other, this: first, again }
      bench.say(`${part}: warming up`)
      await inTurns(WARM_UPS, variants, () => {})
      const results = await inTurns(bench.rounds, variants, (name, round, cpuUs) => {
        bench.say(`${part}, pair ${round}, ${NAMES[name]}: ${cpuUs.toFixed(2)} us`)
      })
      comparisons.push(comparisonOf(part, results))
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
