import { Counter, Gauge, type Registry } from 'prom-client'

/* Metrics whose values are read on each scrape, so that they cost the code that works nothing. */

/** A counter. @param read the total since the process started */
export function scrapedCounter(registry: Registry, name: string, help: string, read: () => number): void {
  const counter: Counter = new Counter({
    name,
    help,
    registers: [registry],
    collect: () => {
      counter.reset()
      counter.inc(read())
    },
  })
}

/** A gauge that has no value while `read` returns undefined. */
export function scrapedGauge(
  registry: Registry,
  name: string,
  help: string,
  read: () => number | undefined,
): void {
  const gauge: Gauge<'none'> = new Gauge({
    name,
    help,
    labelNames: ['none'], // otherwise prom-client reports 0 while there is no value
    registers: [registry],
    collect: () => {
      gauge.reset()
      const value = read()
      if (value !== undefined) gauge.set(value)
    },
  })
}
