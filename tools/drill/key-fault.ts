import { setTimeout as delay } from 'node:timers/promises'
import { authorization } from './drill-key.ts'
import type { Scene, Strike } from './scene.ts'

/** How long the old secret is valid: longer than the API takes to see a change of its key file (5 s). */
const OVERLAP_S = 10
const ASK_EVERY_MS = 100

/**
 * The clients' key gets a new secret; the key file is replaced by rename. The clients change over when the API accepts the
 * new secret, and then the old one ends. No request of theirs may be refused (runStretch() looks at that).
 */
export const keyRotated: Strike = async (scene) => {
  const { key } = scene.stage
  if (key === undefined) return undefined
  await scene.moment()
  const old = key.text
  const next = await key.rotate(OVERLAP_S)
  const rotatedMs = performance.now()
  const sinceRotation = (): string => `${((performance.now() - rotatedMs) / 1000).toFixed(1)} s`
  if (!(await becomes(scene, next, 'valid'))) return undefined
  const acceptedAfter = sinceRotation()
  key.text = next
  if (!(await becomes(scene, old, 'refused'))) return undefined
  return `the new secret was accepted after ${acceptedAfter}, and the old one refused after ${sinceRotation()}`
}

async function becomes(scene: Scene, secret: string, wanted: 'valid' | 'refused'): Promise<boolean> {
  const answered = await scene.poll(async () => {
    if ((await stateOf(scene, secret)) === wanted) return true
    await delay(ASK_EVERY_MS, undefined, { signal: scene.signal })
    return undefined
  })
  return answered === true
}

/** Asks with a body that is no event: only if the secret is valid, the API says so (422). */
async function stateOf({ stage, signal }: Scene, secret: string): Promise<'valid' | 'refused' | undefined> {
  const answer = await fetch(`http://127.0.0.1:${stage.httpProxy.port}/event`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...authorization({ text: secret }) },
    body: '{}',
    signal,
  }).catch(() => undefined)
  await answer?.arrayBuffer()
  if (answer?.status === 401) return 'refused'
  return answer?.status === 422 ? 'valid' : undefined
}
