import assert from 'node:assert/strict'

/**
 * The value of a metric of one of our services.
 *
 * @param name with its labels, if it has any, such as `a_total{reason="b"}`
 */
export async function metricOf(service: { url: string }, name: string): Promise<number> {
  const text = await (await fetch(`${service.url}/metrics`)).text()
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `))
  assert.ok(line, `no metric ${name}`)
  return Number(line.slice(name.length))
}
