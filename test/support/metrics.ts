import assert from 'node:assert/strict'
import type { NodeService } from '../../embedded/node-service.ts'

/**
 * What one of our services counts in its /metrics.
 *
 * @param name with labels where there are some, such as `a_total{reason="b"}`
 */
export async function metricOf(service: NodeService, name: string): Promise<number> {
  const text = await (await fetch(`${service.url}/metrics`)).text()
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `))
  assert.ok(line, `no metric ${name}`)
  return Number(line.slice(name.length))
}
